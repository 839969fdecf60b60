//! How commands answer: tables for people on a terminal, JSON for whatever else reads them; bars where work is long.
//!
//! Everything that is an answer goes to standard output, everything about the work to standard error.

use parking_lot::Mutex;
use serde::Serialize;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    /// Aligned columns.
    Table,
    /// One JSON document.
    Json,
}

static CHOSEN: OnceLock<Form> = OnceLock::new();

/// Fixes the form for this process; `None` leaves it to where standard output goes.
pub(crate) fn choose(form: Option<Form>) {
    if let Some(form) = form {
        let _ = CHOSEN.set(form);
    }
}

/// The form that was asked for in so many words, if one was: for what people and pipes both read as text otherwise.
pub(crate) fn asked() -> Option<Form> {
    CHOSEN.get().copied()
}

/// The form that answers take.
pub(crate) fn form() -> Form {
    CHOSEN.get().copied().unwrap_or_else(|| {
        if std::io::stdout().is_terminal() {
            Form::Table
        } else {
            Form::Json
        }
    })
}

/// A line of a table.
pub(crate) trait Row: Serialize {
    /// What stands above each column.
    const HEADS: &'static [&'static str];

    /// One text for each of [`HEADS`](Self::HEADS).
    fn cells(&self) -> Vec<String>;
}

/// One thing with named properties.
pub(crate) trait Sheet: Serialize {
    /// Name and value of each property that people want to see. A value may have several lines.
    fn lines(&self) -> Vec<(String, String)>;
}

/// Answers with a list: a table, or a JSON array.
///
/// # Errors
///
/// If a row cannot be written as JSON.
pub(crate) fn rows<T: Row>(rows: &[T]) -> anyhow::Result<()> {
    match form() {
        Form::Json => json(&rows),
        Form::Table => {
            let mut table = vec![T::HEADS.iter().map(|head| (*head).to_uppercase()).collect()];
            table.extend(rows.iter().map(Row::cells));
            put(&columns(&table));
            Ok(())
        }
    }
}

/// Answers with one thing: its properties line by line, or a JSON object.
///
/// # Errors
///
/// If it cannot be written as JSON.
pub(crate) fn sheet<T: Sheet>(thing: &T) -> anyhow::Result<()> {
    match form() {
        Form::Json => json(thing),
        Form::Table => {
            let table: Vec<Vec<String>> = thing
                .lines()
                .into_iter()
                .flat_map(|(name, value)| {
                    let mut name = Some(name);
                    let lines: Vec<String> = value.lines().map(str::to_owned).collect();
                    let lines = if lines.is_empty() {
                        vec![String::new()]
                    } else {
                        lines
                    };
                    lines
                        .into_iter()
                        .map(move |line| vec![name.take().unwrap_or_default(), line])
                        .collect::<Vec<_>>()
                })
                .collect();
            put(&columns(&table));
            Ok(())
        }
    }
}

/// Answers with a JSON document whatever the form.
///
/// # Errors
///
/// If the value cannot be written as JSON.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> anyhow::Result<()> {
    put(&serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Prints a text and a line end. That nobody reads it any more, as behind `| head`, is no failure.
pub(crate) fn put(text: &str) {
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end_matches('\n'));
}

/// A number of things, by what one of them is called.
pub(crate) fn many(number: u64, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        _ => format!("{number} {thing}s"),
    }
}

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it should be.
    Good,
    /// Not as it should be.
    Bad,
    /// Beside the point.
    Aside,
}

/// The text in the colour of its tone, where a person looks and wants colours.
pub(crate) fn toned(tone: Tone, text: &str) -> String {
    static COLOURS: OnceLock<bool> = OnceLock::new();
    let colours = *COLOURS.get_or_init(|| {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
        form() == Form::Table
            && !set("NO_COLOR")
            && (set("CLICOLOR_FORCE") || std::io::stdout().is_terminal())
    });
    if !colours {
        return text.to_owned();
    }
    let code = match tone {
        Tone::Good => 32,
        Tone::Bad => 31,
        Tone::Aside => 2,
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// Says on standard error what long work is at: on a terminal one line with the seconds it has taken so far, anywhere
/// else a line for each step.
pub(crate) struct Status {
    shown: Arc<Mutex<Option<(String, Instant)>>>,
    terminal: bool,
}

impl Status {
    /// Nothing to say yet.
    pub(crate) fn new() -> Self {
        let status = Self {
            shown: Arc::new(Mutex::new(None)),
            terminal: std::io::stderr().is_terminal(),
        };
        if status.terminal {
            let shown = Arc::downgrade(&status.shown);
            std::thread::spawn(move || {
                while let Some(shown) = shown.upgrade() {
                    if let Some((step, since)) = &*shown.lock() {
                        eprint!("\r\x1b[2K{step} … {} s", since.elapsed().as_secs());
                    }
                    drop(shown);
                    std::thread::sleep(Duration::from_millis(200));
                }
            });
        }
        status
    }

    /// The work is at `step` now.
    pub(crate) fn at(&self, step: String) {
        if self.terminal {
            *self.shown.lock() = Some((step, Instant::now()));
        } else {
            eprintln!("{step}");
        }
    }

    /// Takes the line away, for somebody else prints now.
    pub(crate) fn clear(&self) {
        if self.shown.lock().take().is_some() {
            eprint!("\r\x1b[2K");
        }
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Lays out cells in columns, two spaces apart.
pub(crate) fn columns(table: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in table {
        for (index, cell) in row.iter().enumerate() {
            let width = cell.chars().count();
            match widths.get_mut(index) {
                Some(widest) => *widest = width.max(*widest),
                None => widths.push(width),
            }
        }
    }
    let mut text = String::new();
    for row in table {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let padding = width.saturating_sub(cell.chars().count());
            line.push_str(cell);
            line.push_str(&" ".repeat(padding.saturating_add(2)));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_no_line_ends_with_a_space() {
        let cells = |row: &[&str]| row.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let text = columns(&[
            cells(&["NAME", "STATE"]),
            cells(&["surge", "ok"]),
            cells(&["é", ""]),
        ]);
        assert_eq!(text, "NAME   STATE\nsurge  ok\né\n");
    }
}
