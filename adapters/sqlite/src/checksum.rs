//! CRC-32C over the fields of a row. SQLite itself does not notice a flipped byte of a value.

/// A checksum in the making. Each field goes in with its length, so that no two rows run together alike.
#[derive(Clone, Copy)]
pub(crate) struct Checksum(u32);

impl Checksum {
    /// The checksum of a row of this table.
    pub(crate) fn of(table: &str) -> Self {
        Self(0).bytes(table.as_bytes())
    }

    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        Self(crc32c::crc32c_append(self.number(bytes.len() as i64).0, bytes))
    }

    pub(crate) fn number(self, number: i64) -> Self {
        Self(crc32c::crc32c_append(self.0, &number.to_le_bytes()))
    }

    /// `None` apart from every number.
    pub(crate) fn maybe(self, number: Option<i64>) -> Self {
        match number {
            None => self.number(0),
            Some(number) => self.number(1).number(number),
        }
    }

    /// As a column keeps it.
    pub(crate) fn get(self) -> i64 {
        self.0.into()
    }
}
