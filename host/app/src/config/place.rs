//! Where in a file a setting is.

use std::ops::Range;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// The line of a place, from 1.
pub(super) fn line(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or(text);
    before.matches('\n').count() + 1
}

/// Takes out the innermost entry that covers `at`; where it was. None if nothing covers it.
pub(super) fn take_out(table: &mut DeTable<'_>, at: &Range<usize>) -> Option<String> {
    let names: Vec<String> = table.keys().map(|key| key.get_ref().to_string()).collect();
    // Tables are only as wide as what stands above them, so what lies inside of one is looked for first.
    for name in &names {
        let inner = match table.get_mut(name.as_str()).map(Spanned::get_mut) {
            Some(DeValue::Table(inner)) => take_out(inner, at),
            Some(DeValue::Array(items)) => take_out_of(items, at),
            _ => None,
        };
        if let Some(inner) = inner {
            return Some(format!("{name}.{inner}"));
        }
    }
    let own = names.into_iter().find(|name| {
        let entry = table.get_key_value(name.as_str());
        entry.is_some_and(|(key, value)| covers(&key.span(), at) || covers(&value.span(), at))
    })?;
    table.remove(own.as_str());
    Some(own)
}

fn take_out_of(items: &mut DeArray<'_>, at: &Range<usize>) -> Option<String> {
    for (index, item) in items.iter_mut().enumerate() {
        if let DeValue::Table(inner) = item.get_mut()
            && let Some(inner) = take_out(inner, at)
        {
            return Some(format!("{index}.{inner}"));
        }
    }
    // An element by itself: the others stay where they are.
    let index = items.iter().position(|item| covers(&item.span(), at))?;
    let kept = std::mem::replace(items, DeArray::new()).into_iter().enumerate();
    *items = kept
        .filter(|(place, _)| *place != index)
        .map(|(_, item)| item)
        .collect();
    Some(index.to_string())
}

fn covers(whole: &Range<usize>, part: &Range<usize>) -> bool {
    whole.start <= part.start && part.end <= whole.end
}

/// Where the setting at `key` is, or the nearest part of its path that is there. Of several markets the block of the `market`th
/// goes before what they have in common.
pub(super) fn find(table: &DeTable<'_>, market: usize, key: &str) -> Option<usize> {
    let block = match table.get("market").map(Spanned::get_ref) {
        Some(DeValue::Array(blocks)) => match blocks.get(market).map(Spanned::get_ref) {
            Some(DeValue::Table(block)) => Some(block),
            _ => None,
        },
        _ => None,
    };
    let in_block = block.and_then(|block| walk(block, key.strip_prefix("market.").unwrap_or(key)));
    in_block.or_else(|| walk(table, key))
}

fn walk(table: &DeTable<'_>, key: &str) -> Option<usize> {
    let (name, rest) = match key.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (key, None),
    };
    let (written, value) = table.get_key_value(name)?;
    let deeper = rest.and_then(|rest| match value.get_ref() {
        DeValue::Table(inner) => walk(inner, rest),
        DeValue::Array(items) => {
            let (index, rest) = rest.split_once('.').unwrap_or((rest, ""));
            let item = items.get(index.parse::<usize>().ok()?)?;
            match item.get_ref() {
                DeValue::Table(inner) => walk(inner, rest).or(Some(item.span().start)),
                _ => Some(item.span().start),
            }
        }
        _ => None,
    });
    deeper.or(Some(written.span().start))
}
