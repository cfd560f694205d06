//! The wire format of Protocol Buffers, as much of it as a reader needs: fields one after the other.
//!
//! Nothing is read beyond the bytes and nothing is believed of a length. Fields nobody asks for are passed over; those of an old
//! form, groups, to a depth of [`DEPTH`].

/// Groups within groups; the KCL's library has the same limit.
const DEPTH: u8 = 100;

/// The bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// Reads a message from its front.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wire<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A field of a message.
#[derive(Debug)]
pub(super) struct Field<'a> {
    pub(super) number: u64,
    pub(super) value: Value<'a>,
    /// Where its value begins, with its length if it has one.
    pub(super) at: u32,
}

#[derive(Debug)]
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of a kind that no field here has.
    Other,
}

impl<'a> Wire<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Reads on from a place that [`Field::at`] has told.
    pub(super) fn at(bytes: &'a [u8], at: u32) -> Self {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        Self { bytes, at }
    }

    /// All bytes, those that were read among them.
    pub(super) fn all(&self) -> &'a [u8] {
        self.bytes
    }

    /// The next field; `None` at the end.
    #[inline]
    pub(super) fn field(&mut self) -> Result<Option<Field<'a>>, Broken> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let (number, kind) = self.tag()?;
        let at = u32::try_from(self.at).map_err(|_| Broken)?;
        let value = self.value(number, kind, DEPTH)?;
        Ok(Some(Field { number, value, at }))
    }

    fn tag(&mut self) -> Result<(u64, u64), Broken> {
        let tag = self.number()?;
        let number = tag >> 3;
        match number {
            0 => Err(Broken),
            _ if tag > u64::from(u32::MAX) => Err(Broken),
            _ => Ok((number, tag & 7)),
        }
    }

    fn value(&mut self, number: u64, kind: u64, depth: u8) -> Result<Value<'a>, Broken> {
        match kind {
            0 => Ok(Value::Number(self.number()?)),
            1 => self.take(8).map(|_| Value::Other),
            2 => Ok(Value::Bytes(self.bytes()?)),
            3 => self.group(number, depth),
            5 => self.take(4).map(|_| Value::Other),
            _ => Err(Broken),
        }
    }

    #[cold]
    fn group(&mut self, of: u64, depth: u8) -> Result<Value<'a>, Broken> {
        let depth = depth.checked_sub(1).ok_or(Broken)?;
        loop {
            match self.tag()? {
                (number, 4) if number == of => return Ok(Value::Other),
                (number, kind) => self.value(number, kind, depth)?,
            };
        }
    }

    /// Bytes behind their length.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Broken> {
        let len = usize::try_from(self.number()?).map_err(|_| Broken)?;
        self.take(len)
    }

    /// A whole number: seven bits a byte, the lowest first.
    #[inline]
    fn number(&mut self) -> Result<u64, Broken> {
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(byte))
            }
            _ => self.longer(),
        }
    }

    fn longer(&mut self) -> Result<u64, Broken> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or(Broken)?;
            self.at += 1;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Broken)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Broken> {
        let rest = self.bytes.get(self.at..).ok_or(Broken)?;
        let taken = rest.get(..len).ok_or(Broken)?;
        self.at += len;
        Ok(taken)
    }
}
