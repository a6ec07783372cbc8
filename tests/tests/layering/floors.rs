//! The floors of the kernel: imports only go down.

/// From the lowest.
const FLOORS: [&str; 5] = ["values", "ports", "domain", "drivers", "application"];

/// What a file of the kernel (its path within `src`) imports from a floor above its own.
pub(crate) fn upward_imports(file: &str, source: &str) -> Vec<String> {
    let Some(own) = FLOORS.iter().position(|floor| file.split(['/', '.']).next() == Some(floor)) else {
        return Vec::new();
    };
    let code: String =
        source.lines().map(|line| line.split("//").next().unwrap_or_default().to_owned() + "\n").collect();
    let from_own = "crate::".to_owned();
    // `super` may climb out of the floor: as often as the file is deep.
    let depth = file.split('/').count() + usize::from(!file.ends_with("/mod.rs") && file.contains('/')) - 1;
    let climbs = "super::".repeat(depth.max(1));
    FLOORS[own + 1..]
        .iter()
        .filter(|above| {
            [&from_own, &climbs].iter().any(|prefix| code.contains(&format!("{prefix}{above}")))
                || code.split("use crate::{").skip(1).any(|list| named_in(list, above))
        })
        .map(|above| {
            format!(
                "Imports in the kernel only go down ({}): {file} is of the floor {} and imports from {above}. Move what both \
                 need to {} or below, or the file up.",
                FLOORS.join(" < "),
                FLOORS[own],
                FLOORS[own]
            )
        })
        .collect()
}

/// Whether a braced list (what follows its `{`) names the module at its own level.
fn named_in(list: &str, module: &str) -> bool {
    let mut depth = 0;
    let mut names = String::new();
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            c if depth == 0 => names.push(c),
            _ => {}
        }
    }
    names.split(',').any(|name| name.trim().split("::").next() == Some(module))
}

/// What the root of the kernel has to say of itself.
pub(crate) fn no_std(lib: &str) -> Vec<String> {
    let lines: Vec<_> = lib.lines().map(str::trim).collect();
    let mut breaches = Vec::new();
    if !lines.contains(&"#![no_std]") {
        breaches
            .push("Rule 1, the kernel builds without std: kernel/src/lib.rs has no `#![no_std]`. Put it back.".into());
    }
    if lines.contains(&"extern crate std;") {
        breaches
            .push("Rule 1, the kernel builds without std: kernel/src/lib.rs takes std in. Use core and alloc.".into());
    }
    breaches
}
