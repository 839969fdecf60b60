//! How a policy says no.

use std::borrow::Cow;

/// Why a policy says no. A refusal is an answer, not a failure: the caller sees it with the policy's name and revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// For programs: 1 to 32 of `a-z`, `0-9` and `_`. Always the same for the same reason.
    pub code: Cow<'static, str>,
    /// For people; the host cuts it at 256 bytes.
    pub text: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with its stable code and its reason.
    pub fn new(code: impl Into<Cow<'static, str>>, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code: code.into(),
            text: text.into(),
        }
    }

    /// The refusal of parameters that make no sense, with the code `bad_params`.
    pub fn params(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new("bad_params", text)
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}: {}", self.code, self.text)
    }
}

impl core::error::Error for Refusal {}
