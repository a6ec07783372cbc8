//! CRC-32C over the fields of a row. SQLite itself does not notice a flipped byte of a value.

/// A checksum in the making. Each field goes in with its length, so that no two rows run together alike.
///
/// Most fields are small, and a call for each would cost more than the checksum: they are gathered first.
pub(crate) struct Checksum {
    crc: u32,
    gathered: [u8; GATHERED],
    length: usize,
}

/// Room for the fields of most events.
const GATHERED: usize = 512;

impl Checksum {
    /// The checksum of a row of this table.
    #[inline]
    pub(crate) fn of(table: &str) -> Self {
        let mut checksum = Self { crc: 0, gathered: [0; GATHERED], length: 0 };
        checksum.bytes(table.as_bytes());
        checksum
    }

    #[inline]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as i64).raw(bytes)
    }

    #[inline]
    pub(crate) fn number(&mut self, number: i64) -> &mut Self {
        const WIDTH: usize = size_of::<i64>();
        if self.length + WIDTH > GATHERED {
            self.flush();
        }
        self.gathered[self.length..self.length + WIDTH].copy_from_slice(&number.to_le_bytes());
        self.length += WIDTH;
        self
    }

    /// `None` apart from every number.
    pub(crate) fn maybe(&mut self, number: Option<i64>) -> &mut Self {
        match number {
            None => self.number(0),
            Some(number) => self.number(1).number(number),
        }
    }

    /// As a column keeps it.
    pub(crate) fn get(&mut self) -> i64 {
        self.flush();
        self.crc.into()
    }

    // With it all of a row's fixed fields go to places that are known when it is compiled.
    #[inline(always)]
    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        match self.gathered[self.length..].get_mut(..bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.length += bytes.len();
            }
            None => {
                self.flush();
                self.crc = crc32c::crc32c_append(self.crc, bytes);
            }
        }
        self
    }

    fn flush(&mut self) {
        self.crc = crc32c::crc32c_append(self.crc, &self.gathered[..self.length]);
        self.length = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gathered_changes_no_checksum() {
        for (short, long) in [(0, 0), (3, 100), (200, 1), (10, 256), (10, 300), (300, 10), (250, 250)] {
            let (short, long) = (vec![1; short], vec![2; long]);
            let gathered = Checksum::of("t").bytes(&short).number(-7).bytes(&long).maybe(None).get();
            let mut whole = Vec::new();
            for field in [b"t".as_slice(), &short] {
                whole.extend_from_slice(&(field.len() as i64).to_le_bytes());
                whole.extend_from_slice(field);
            }
            whole.extend_from_slice(&(-7_i64).to_le_bytes());
            whole.extend_from_slice(&(long.len() as i64).to_le_bytes());
            whole.extend_from_slice(&long);
            whole.extend_from_slice(&0_i64.to_le_bytes());
            assert_eq!(gathered, i64::from(crc32c::crc32c(&whole)));
        }
    }
}
