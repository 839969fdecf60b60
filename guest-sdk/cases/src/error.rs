//! Why bytes are no case, said so that its author finds the place.

use crate::locate::locate;
use core::fmt;
use serde::de::IgnoredAny;

/// Characters of a path or a problem: both may repeat a file's own words, and a file may hold a megabyte of one.
const MAX_SAID: usize = 600;

/// Characters at the start of what is longer. The rest is for the end, which says what would be right.
const START: usize = 200;

/// Why bytes are no case. Displayed as `line 3, column 14: request.offer.price: expected …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseError {
    /// The line, counted from 1; 0 where there is none.
    pub line: usize,
    /// The column in characters, counted from 1; 0 where there is none.
    pub column: usize,
    /// The field, as a path from the outermost object; empty where it is the file as a whole.
    pub field: String,
    /// What is wrong there, and what would be right.
    pub problem: String,
}

impl CaseError {
    /// A problem of the file as a whole.
    pub(crate) fn whole(problem: impl Into<String>) -> Self {
        Self {
            line: 0,
            column: 0,
            field: String::new(),
            problem: problem.into(),
        }
    }

    /// A problem of the field at `path`, or of the innermost object around it that is there.
    pub(crate) fn at(text: &str, path: &str, problem: impl Into<String>) -> Self {
        let (line, column) = locate(text, path);
        Self {
            line,
            column,
            field: shortened(path),
            problem: shortened(&problem.into()),
        }
    }

    /// What the JSON reader found wrong.
    pub(crate) fn json(text: &str, error: serde_path_to_error::Error<serde_json::Error>) -> Self {
        let path = error.path().to_string();
        let inner = error.into_inner();
        // The reader stops at the end of a value; where the text is whole, its start can be found.
        let (line, column) = if inner.is_data() && serde_json::from_str::<IgnoredAny>(text).is_ok() {
            locate(text, &path)
        } else {
            (inner.line(), inner.column())
        };
        let said = inner.to_string();
        // The reader says the place once more at the end of its message.
        let problem = said
            .rsplit_once(" at line ")
            .map_or(said.as_str(), |(problem, _)| problem);
        Self {
            line,
            column,
            // "." is the file itself, "?" a place where there is nothing yet.
            field: if path == "." || path == "?" {
                String::new()
            } else {
                shortened(&path)
            },
            problem: shortened(problem),
        }
    }
}

/// `text` without its middle, if it is too long to be read.
fn shortened(text: &str) -> String {
    let count = text.chars().count();
    if count <= MAX_SAID {
        return text.to_owned();
    }
    let start = text.chars().take(START);
    let end = text.chars().skip(count.saturating_sub(MAX_SAID - START));
    start.chain(['…']).chain(end).collect()
}

impl fmt::Display for CaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}, column {}: ", self.line, self.column)?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.problem)
    }
}

impl std::error::Error for CaseError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_repeats_a_long_word_of_the_file_only_in_part() {
        let long = format!("{}é", "U".repeat(100_000));
        let error = CaseError::at(
            "{}",
            &long,
            format!("unknown field `{long}`, expected one of `a`, `b`"),
        );
        let text = error.to_string();
        assert!(text.chars().count() < 1300, "{}", text.len());
        assert!(text.ends_with("Ué`, expected one of `a`, `b`"), "{text}");
        assert_eq!(shortened("short"), "short");
    }
}
