//! Text that came from a log, fit for a terminal.

/// Characters of a foreign text that are repeated in a message.
const MAX: usize = 240;

/// `text` on one line, without control characters, cut to a length that a message may have.
///
/// Logs come from elsewhere: what they say must not move the cursor of whoever reads about it.
pub(crate) fn plain(text: &str) -> String {
    let mut plain: String = text
        .chars()
        .take(MAX)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(MAX).is_some() {
        plain.push('…');
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_text_can_neither_move_the_cursor_nor_fill_the_screen() {
        assert_eq!(plain("a\u{1b}[2Jb\nc"), "a\u{fffd}[2Jb\u{fffd}c");
        assert_eq!(plain(&"é".repeat(1000)).chars().count(), MAX + 1);
    }
}
