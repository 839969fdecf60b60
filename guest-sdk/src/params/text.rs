//! Texts that are put together when a policy is compiled, so that its component holds a schema and no code to make it.

/// A text of constants.
#[derive(Debug, Clone, Copy)]
pub enum Text {
    /// As it is.
    Str(&'static str),
    /// A number in digits.
    Int(i128),
    /// One after the other.
    Join(&'static [Text]),
    /// A keyword and what follows it, or neither.
    Maybe(&'static str, &'static Option<Text>),
}

impl Text {
    /// Its bytes.
    #[allow(clippy::len_without_is_empty, reason = "nobody asks")]
    pub const fn len(&self) -> usize {
        match self {
            Self::Str(text) => text.len(),
            Self::Int(number) => digits(*number) + (*number < 0) as usize,
            Self::Join(parts) => {
                let (mut parts, mut len) = (*parts, 0);
                while let [first, rest @ ..] = parts {
                    len += first.len();
                    parts = rest;
                }
                len
            }
            Self::Maybe(keyword, Some(text)) => keyword.len() + text.len(),
            Self::Maybe(_, None) => 0,
        }
    }

    /// Its content, for an `N` of [`Text::len`].
    pub const fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [b' '; N];
        self.write(&mut bytes);
        bytes
    }

    /// Writes the text to the front, and gives what is left behind it.
    const fn write<'a>(&self, to: &'a mut [u8]) -> &'a mut [u8] {
        match self {
            Self::Str(text) => copy(text.as_bytes(), to),
            Self::Int(number) => {
                let to = if *number < 0 { copy(b"-", to) } else { to };
                let mut left = digits(*number);
                let mut to = to;
                while left > 0 {
                    left -= 1;
                    let digit = number.unsigned_abs() / 10u128.pow(left as u32) % 10;
                    to = copy(&[b'0' + digit as u8], to);
                }
                to
            }
            Self::Join(parts) => {
                let (mut parts, mut to) = (*parts, to);
                while let [first, rest @ ..] = parts {
                    to = first.write(to);
                    parts = rest;
                }
                to
            }
            Self::Maybe(keyword, Some(text)) => text.write(copy(keyword.as_bytes(), to)),
            Self::Maybe(_, None) => to,
        }
    }
}

/// The text at run time, for messages.
impl core::fmt::Display for Text {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            // An amount stands in quotes in a schema, and without them in a message.
            Self::Str(text) => f.write_str(text.trim_matches('"')),
            Self::Int(number) => write!(f, "{number}"),
            Self::Join(parts) => parts.iter().try_for_each(|part| part.fmt(f)),
            Self::Maybe(keyword, Some(text)) => write!(f, "{keyword}{text}"),
            Self::Maybe(_, None) => Ok(()),
        }
    }
}

/// The bytes of a [`Text`], which are of texts.
pub const fn utf8(bytes: &[u8]) -> &str {
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => "",
    }
}

/// Decimal digits of a number, one for 0.
const fn digits(number: i128) -> usize {
    match number.unsigned_abs().checked_ilog10() {
        Some(tens) => tens as usize + 1,
        None => 1,
    }
}

/// Copies as much as there is room for, and gives the room behind it.
const fn copy<'a>(mut from: &[u8], mut to: &'a mut [u8]) -> &'a mut [u8] {
    while let [byte, rest @ ..] = from {
        let Some((place, room)) = to.split_first_mut() else {
            return &mut [];
        };
        *place = *byte;
        from = rest;
        to = room;
    }
    to
}
