//! Places in JSON: how deep it goes, and where a field stands.

/// Line and column, counted from 1, of the value at `path` in `text`, which is JSON. Of the innermost object on the
/// way where the path leads nowhere.
///
/// A path is as `serde_path_to_error` writes it: `request.offers[2].uri`.
pub(crate) fn locate(text: &str, path: &str) -> (usize, usize) {
    let steps = path.split(['.', '[']).map(|step| step.trim_end_matches(']'));
    let mut scanner = Scanner { text, at: 0 };
    scanner.space();
    let mut found = scanner.at;
    for step in steps.filter(|step| !step.is_empty()) {
        if scanner.enter(step).is_none() {
            break;
        }
        found = scanner.at;
    }
    place(text, found)
}

/// Line and column of the byte at `at`.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count().saturating_add(1);
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        .saturating_add(1);
    (line, column)
}

/// Where brackets first nest deeper than `max`, if they do. Works on any text.
pub(crate) fn too_deep(text: &str, max: usize) -> Option<(usize, usize)> {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth = depth.saturating_add(1);
                if depth > max {
                    return Some(place(text, at));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// A walk over JSON that is known to be well-formed. On anything else it ends early, with nothing.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at = self.at.saturating_add(1);
        }
    }

    /// Passes over one byte and the space after it.
    fn take(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at = self.at.saturating_add(1);
        self.space();
        Some(byte)
    }

    /// From the start of an object or array to the start of the value under the key or index `step`.
    fn enter(&mut self, step: &str) -> Option<()> {
        let object = match self.peek()? {
            b'{' => true,
            b'[' => false,
            _ => return None,
        };
        self.take()?;
        let mut index = 0_usize;
        loop {
            if matches!(self.peek()?, b'}' | b']') {
                return None;
            }
            let here = if object {
                let key = self.string()?;
                self.take()?;
                key == step
            } else {
                step.parse() == Ok(index)
            };
            if here {
                return Some(());
            }
            self.value()?;
            index = index.saturating_add(1);
            if self.take()? != b',' {
                return None;
            }
        }
    }

    /// Passes over a string and gives what is between its quotes, escapes as written.
    fn string(&mut self) -> Option<String> {
        let start = self.at.checked_add(1)?;
        let mut escaped = false;
        let rest = self.text.as_bytes().get(start..)?;
        let len = rest.iter().position(|byte| {
            let ends = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            ends
        })?;
        let end = start.checked_add(len)?;
        let inner = self.text.get(start..end)?.to_owned();
        self.at = end.checked_add(1)?;
        self.space();
        Some(inner)
    }

    /// Passes over one value.
    fn value(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => drop(self.string()?),
                b'{' | b'[' => {
                    depth = depth.saturating_add(1);
                    self.take()?;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.take()?;
                }
                b',' | b':' if depth > 0 => drop(self.take()?),
                _ => {
                    let word = |byte: u8| !matches!(byte, b',' | b'}' | b']') && !byte.is_ascii_whitespace();
                    while self.peek().is_some_and(word) {
                        self.at = self.at.saturating_add(1);
                    }
                    self.space();
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "{\n  \"a\": {\"b\\\"{\": [1, {\"é\": 2,\n \"d\": [true, \"]\"]}]},\n  \"e\" : 3 }";

    #[track_caller]
    fn finds(path: &str, expected: (usize, usize)) {
        assert_eq!(locate(TEXT, path), expected, "{path}");
    }

    #[test]
    fn a_path_leads_to_its_value_or_to_the_last_object_that_is_there() {
        finds("", (1, 1));
        finds("a", (2, 8));
        finds("e", (4, 9));
        finds("f", (1, 1));
        finds("a.b\\\"{[1].é", (2, 27));
        finds("a.b\\\"{[1].d[1]", (3, 14));
        finds("a.b\\\"{[1].d[7]", (3, 7));
        finds("a.b\\\"{[1].z.y", (2, 21));
    }

    #[test]
    fn depth_counts_brackets_outside_strings() {
        assert_eq!(too_deep("[[\"[[[\\\"[\"]]", 2), None);
        assert_eq!(too_deep("[\n [[\"[[[\"]]]", 2), Some((2, 3)));
        assert_eq!(too_deep("]]]][[", 2), None);
    }

    proptest! {
        #[test]
        fn any_text_and_any_path_end(text in ".{0,200}", path in "[a-z0-9.\\[\\]\"]{0,20}") {
            let _ = locate(&text, &path);
            let _ = too_deep(&text, 3);
        }
    }
}
