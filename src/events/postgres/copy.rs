//! Rows as COPY takes them in its binary form (PostgreSQL manual, "COPY", section "Binary Format").

/// What the form begins with: a signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with, in place of a count of columns.
const END: i16 = -1;
/// The length of a null.
const NULL: i32 = -1;

/// Rows in the making.
#[derive(Debug)]
pub(super) struct Rows(Vec<u8>);

/// A row in the making. It has the columns of the statement, in their order and of their types.
#[derive(Debug)]
pub(super) struct RowWriter<'r>(&'r mut Vec<u8>);

impl Rows {
    pub(super) fn new() -> Self {
        Self(HEADER.to_vec())
    }

    pub(super) fn row(&mut self, columns: i16) -> RowWriter<'_> {
        self.0.extend(columns.to_be_bytes());
        RowWriter(&mut self.0)
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0.extend(END.to_be_bytes());
        self.0
    }
}

impl RowWriter<'_> {
    pub(super) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    pub(super) fn integer(self, value: i32) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(super) fn bigint(self, value: i64) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(super) fn double(self, value: Option<f64>) -> Self {
        let Some(value) = value else {
            self.0.extend(NULL.to_be_bytes());
            return self;
        };
        self.bytes(&value.to_be_bytes())
    }

    /// Texts are bounded far below what the length can say; a longer one would be a protocol error, and the write fails.
    pub(super) fn bytes(self, bytes: &[u8]) -> Self {
        self.0.extend(i32::try_from(bytes.len()).unwrap_or(i32::MAX).to_be_bytes());
        self.0.extend(bytes);
        self
    }
}
