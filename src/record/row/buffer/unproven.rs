//! Text that is written before it is known to be text, and looked at once for all of a row.
//!
//! Texts that are valid together are valid each if all of them begin with a character and not within one.

use super::{Piece, RowBuffer, Stretch};

impl RowBuffer {
    /// Lets [`write_bytes`](Self::write_bytes) follow, which takes the place of `write` in this row.
    pub fn begin_bytes(&mut self) {
        self.unproven = std::mem::take(&mut self.written).into_bytes();
        self.unproven.clear();
    }

    /// Writes text that nobody has looked at yet: [`prove`](Self::prove) does so once for all of a row. `None` if it is none for sure.
    #[inline]
    pub fn write_bytes(&mut self, text: Stretch<'_>) -> Option<Piece> {
        if text.len > 0 && text.rest.first().is_some_and(|byte| byte & 0xC0 == 0x80) {
            return None;
        }
        let start = self.unproven.len();
        text.append_to(&mut self.unproven);
        Some(Piece::new(self.payload_len + start, text.len))
    }

    /// Makes text of what [`write_bytes`](Self::write_bytes) wrote; false if it is none.
    pub fn prove(&mut self) -> bool {
        match String::from_utf8(std::mem::take(&mut self.unproven)) {
            Ok(text) => {
                self.written = text;
                true
            }
            Err(_) => false,
        }
    }
}
