//! Just enough of Rust's grammar to tell code from comments and literals.

use std::iter::Peekable;
use std::str::Chars;

/// The text with comments and the contents of string and character literals blanked; line breaks stay, so line
/// numbers hold.
pub(crate) fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut previous = ' ';
    while let Some(c) = chars.next() {
        match c {
            '/' if chars.peek() == Some(&'/') => line_comment(&mut chars),
            '/' if chars.peek() == Some(&'*') => block_comment(&mut chars, &mut out),
            '"' => string(&mut chars, &mut out),
            'r' if !is_word(previous) && matches!(chars.peek(), Some('"' | '#')) => raw(&mut chars, &mut out),
            '\'' => quote(&mut chars, &mut out),
            _ => out.push(c),
        }
        previous = c;
    }
    out
}

/// The words (identifiers, keywords, numbers) of a line of code, each with what follows it.
pub(crate) fn words(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let start = rest.find(is_word)?;
        let (_, from) = rest.split_at_checked(start)?;
        let end = from.find(|c| !is_word(c)).unwrap_or(from.len());
        let (word, after) = from.split_at_checked(end)?;
        rest = after;
        Some((word, after))
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn line_comment(chars: &mut Peekable<Chars>) {
    while chars.next_if(|&c| c != '\n').is_some() {}
}

fn block_comment(chars: &mut Peekable<Chars>, out: &mut String) {
    let mut depth = 1;
    chars.next();
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.next_if_eq(&'/').is_some() => depth -= 1,
            '/' if chars.next_if_eq(&'*').is_some() => depth += 1,
            '\n' => out.push('\n'),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    out.push(' ');
}

fn string(chars: &mut Peekable<Chars>, out: &mut String) {
    out.push('"');
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                if matches!(chars.next(), Some('\n')) {
                    out.push('\n');
                }
            }
            '"' => break,
            '\n' => out.push('\n'),
            _ => {}
        }
    }
    out.push('"');
}

/// After the `r` of a raw string or a raw identifier.
fn raw(chars: &mut Peekable<Chars>, out: &mut String) {
    let mut hashes = 0;
    while chars.next_if_eq(&'#').is_some() {
        hashes += 1;
    }
    if chars.next_if_eq(&'"').is_none() {
        // A raw identifier: its name follows as a word.
        out.push(' ');
        return;
    }
    out.push('"');
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                let mut closing = 0;
                while closing < hashes && chars.next_if_eq(&'#').is_some() {
                    closing += 1;
                }
                if closing == hashes {
                    break;
                }
            }
            '\n' => out.push('\n'),
            _ => {}
        }
    }
    out.push('"');
}

/// After a `'`: a character literal is blanked, a lifetime stays.
fn quote(chars: &mut Peekable<Chars>, out: &mut String) {
    let mut ahead = chars.clone();
    match (ahead.next(), ahead.next()) {
        (Some('\\'), _) => {
            // What is escaped comes first, so that `'\''` and `'\u{27}'` both end where they should.
            chars.next();
            chars.next();
            while chars.next_if(|&c| c != '\'').is_some() {}
            chars.next();
            out.push_str("''");
        }
        (Some(_), Some('\'')) => {
            chars.next();
            chars.next();
            out.push_str("''");
        }
        _ => out.push('\''),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(code(text), expected);
    }

    #[test]
    fn comments_vanish_and_lines_stay() {
        check("a // unsafe\nb", "a \nb");
        check("a /* x /* unsafe */\n */ b", "a \n  b");
    }

    #[test]
    fn literals_are_blanked() {
        check(r#"let a = "unsafe \" rand"; b"#, r#"let a = ""; b"#);
        check("let a = \"one \\\n two\"; b", "let a = \"\n\"; b");
        check(r##"r#"a " unsafe"# b"##, r#""" b"#);
        check("for x in r\"unsafe\"", "for x in \"\"");
        check(r"'\'' '\u{27}' '/' b", "'' '' '' b");
    }

    #[test]
    fn lifetimes_and_raw_names_are_code() {
        check("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}");
        check("r#unsafe()", " unsafe()");
        check("user\"x\"", "user\"\"");
    }

    #[test]
    fn words_come_with_what_follows() {
        let found: Vec<_> = words("use heed::Env; x").collect();
        assert_eq!(
            found,
            [
                ("use", " heed::Env; x"),
                ("heed", "::Env; x"),
                ("Env", "; x"),
                ("x", "")
            ]
        );
    }
}
