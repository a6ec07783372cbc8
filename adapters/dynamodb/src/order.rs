//! Values of an index as text, whose order is that of the values: the beginning of a sort key.
//!
//! A value is written as bits: its kind, then what it is. Numbers have 64 bits, with the sign turned so that they rise.
//! Of texts and bytes each byte comes after a 1, and a 0 ends them, so that what goes on is above what ends. Six bits are
//! one letter, of an alphabet that rises, and each value begins with a new letter. No value's letters begin with those of
//! another of the same kind or any other: so what is written one after another is ordered value by value.

use portolan_kernel::values::Cell;

/// Rising in ASCII, and above the line break that ends the values in a sort key.
const LETTERS: &[u8; 64] = b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

/// Above every letter.
pub(crate) const ABOVE: char = '~';

/// Below every letter.
pub(crate) const BELOW: &str = "\n";

const SIGN: u64 = 1 << 63;

/// The values, one after another.
///
/// At most one and a half letters a byte and one and a half a value.
pub(crate) fn ordered(values: &[Cell]) -> String {
    let mut letters = Letters::default();
    for value in values {
        letters.value(value);
    }
    letters.text
}

#[derive(Default)]
struct Letters {
    text: String,
    /// Bits that are no whole letter yet, and how many they are.
    bits: usize,
    held: u32,
}

impl Letters {
    fn value(&mut self, value: &Cell) {
        match value {
            Cell::Null => self.push(0, 3),
            Cell::Bool(is) => {
                self.push(1, 3);
                self.push(u64::from(*is), 1);
            }
            Cell::Integer(number) => {
                self.push(2, 3);
                self.push(number.cast_unsigned() ^ SIGN, 64);
            }
            Cell::Real(number) => {
                // Adding a zero turns -0.0 into 0.0.
                let bits = (number + 0.0).to_bits();
                self.push(3, 3);
                self.push(if bits & SIGN == 0 { bits | SIGN } else { !bits }, 64);
            }
            Cell::Text(text) => self.bytes(4, text.as_bytes()),
            Cell::Bytes(bytes) => self.bytes(5, bytes),
        }
        while self.held > 0 {
            self.push(0, 1);
        }
    }

    fn bytes(&mut self, kind: u64, bytes: &[u8]) {
        self.push(kind, 3);
        bytes.iter().for_each(|byte| self.push(0x100 | u64::from(*byte), 9));
        self.push(0, 1);
    }

    fn push(&mut self, value: u64, width: u32) {
        for at in (0..width).rev() {
            self.bits = self.bits << 1 | usize::from(value >> at & 1 == 1);
            self.held += 1;
            if self.held == 6 {
                self.text.push(char::from(LETTERS[self.bits]));
                (self.bits, self.held) = (0, 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    /// Values that are often near one another, or one the beginning of the other.
    fn any_cell(random: &mut fastrand::Rng) -> Cell {
        let mut bytes =
            |of: &[u8]| -> Vec<u8> { (0..random.usize(0..4)).map(|_| of[random.usize(..of.len())]).collect() };
        let (text, raw) = (bytes(&[0, 1, b'a', b'b', 0x7f]), bytes(&[0, 1, 0x7f, 0x80, 0xff]));
        let integers = [i64::MIN, i64::MIN + 1, -256, -2, -1, 0, 1, 2, 255, 256, i64::MAX];
        let reals = [f64::NEG_INFINITY, f64::MIN, -1.5, -5e-324, -0.0, 0.0, 5e-324, 1.0, 1.5, f64::MAX, f64::INFINITY];
        match random.u32(0..9) {
            0 => Cell::Null,
            1 => Cell::Bool(random.bool()),
            2 => Cell::Integer(integers[random.usize(..integers.len())]),
            3 => Cell::Integer(random.i64(..)),
            4 => Cell::Real(reals[random.usize(..reals.len())]),
            5 => Cell::Real(random.f64() * 1e6 - 5e5),
            6 => Cell::Text(String::from_utf8(text).unwrap()),
            7 => Cell::Text(["\u{e9}", "e\u{301}", "\u{ffff}", "\u{1F980}"][random.usize(..4)].into()),
            _ => Cell::Bytes(Bytes::from(raw)),
        }
    }

    #[test]
    fn texts_are_ordered_as_the_values_are() {
        let mut random = fastrand::Rng::new();
        let mut values = || -> Vec<Cell> { (0..3).map(|_| any_cell(&mut random)).collect() };
        for _ in 0..200_000 {
            let (one, mut other) = (values(), values());
            // Half of them begin with the same values.
            let shared = fastrand::usize(0..6).min(3);
            other[..shared].clone_from_slice(&one[..shared]);
            let (left, right) = (ordered(&one), ordered(&other));
            assert_eq!(left.cmp(&right), one.cmp(&other), "{one:?} as {left}, {other:?} as {right}");
            assert!(left.starts_with(&ordered(&one[..1])), "{one:?}");
            let begins_so = right.starts_with(&ordered(&one[..1]));
            assert_eq!(begins_so, one[0] == other[0], "{one:?} and {other:?} by their first value");
        }
    }

    #[test]
    fn both_zeros_are_one_value() {
        assert_eq!(ordered(&[Cell::Real(0.0)]), ordered(&[Cell::Real(-0.0)]));
    }

    #[test]
    fn its_length_is_bounded() {
        let mut random = fastrand::Rng::new();
        let long = Cell::Bytes(vec![0xff; 240].into());
        for cell in (0..1_000).map(|_| any_cell(&mut random)).chain([long]) {
            let text = ordered(std::slice::from_ref(&cell));
            assert!(2 * text.len() as u64 <= 3 * cell.bytes() + 3, "{cell:?} as {text}");
            assert!(text.chars().all(|letter| letter < ABOVE && BELOW < letter.to_string().as_str()), "{text}");
        }
    }
}
