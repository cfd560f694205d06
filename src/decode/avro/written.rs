//! Avro's numbers and strings as bytes, for tests that write records by hand.

/// A whole number: zig-zag, seven bits a byte, the lowest first.
pub(crate) fn long(value: i64) -> Vec<u8> {
    let mut word = (value << 1 ^ value >> 63).cast_unsigned();
    let mut bytes = Vec::new();
    while word >= 0x80 {
        bytes.push(word as u8 | 0x80);
        word >>= 7;
    }
    bytes.push(word as u8);
    bytes
}

/// A string behind its length.
pub(crate) fn text(text: &str) -> Vec<u8> {
    [long(text.len() as i64), text.as_bytes().to_vec()].concat()
}
