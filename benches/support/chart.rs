//! A chart of two parts over one axis, as SVG.

use super::Outcome;
use plotters::prelude::*;
use std::path::Path;

/// Points of one line.
pub(crate) struct Series {
    name: &'static str,
    points: Vec<(f64, f64)>,
}

impl Series {
    /// A line without points.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, points: Vec::new() }
    }

    /// Goes on to this point.
    pub(crate) fn add(&mut self, across: f64, up: f64) {
        self.points.push((across, up));
    }
}

/// Two parts, one above the other; each has its unit and its lines.
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) across: &'static str,
    pub(crate) above: (&'static str, [Series; 2]),
    pub(crate) below: (&'static str, [Series; 2]),
}

impl Chart {
    /// Draws it into a file.
    pub(crate) fn write(&self, path: &Path) -> Outcome<()> {
        let area = SVGBackend::new(path, (900, 640)).into_drawing_area();
        area.fill(&WHITE)?;
        let (title, rest) = area.split_vertically(40);
        title.titled(&self.title, ("sans-serif", 20))?;
        let (above, below) = rest.split_vertically(300);
        for (part, (unit, lines)) in [(above, &self.above), (below, &self.below)] {
            let points = || lines.iter().flat_map(|line| &line.points);
            let right = points().map(|point| point.0).fold(0.0, f64::max);
            let top = points().map(|point| point.1).fold(0.0, f64::max) * 1.1;
            let mut chart = ChartBuilder::on(&part)
                .margin(10)
                .x_label_area_size(36)
                .y_label_area_size(70)
                .build_cartesian_2d(0.0..right.max(1e-9), 0.0..top.max(1e-9))?;
            chart.configure_mesh().x_desc(self.across).y_desc(*unit).light_line_style(WHITE).draw()?;
            for (line, color) in lines.iter().zip([BLUE, RED]) {
                chart
                    .draw_series(LineSeries::new(line.points.iter().copied(), color.stroke_width(2)))?
                    .label(line.name)
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color));
            }
            chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.3)).draw()?;
        }
        area.present()?;
        Ok(())
    }
}
