//! Everything that is wrong with a configuration, at once: what is no TOML, keys that nobody knows, values that do not fit, settings
//! that make no sense, and those that have no effect.
//!
//! The file is read as the market reads it. Where that fails, the place that failed is taken out and it is read again, until
//! nothing fails any more.

use super::load::{PREFIX, lay_over, read};
use super::{Config, markets, place};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Faults of one file that are told of.
const MOST: usize = 200;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Inspected {
    /// The markets, without what is wrong.
    pub(crate) markets: Vec<Config>,
    /// What is wrong, in the order of the file.
    pub(crate) faults: Vec<Told>,
    /// What has no effect.
    pub(crate) warnings: Vec<Told>,
}

/// Something about a setting, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Told {
    /// The line of the file, from 1; none if it is not written there.
    pub(crate) line: Option<usize>,
    /// In words.
    pub(crate) text: String,
}

/// Inspects a file and what the environment lays over it.
///
/// # Errors
///
/// If the file cannot be read.
pub(crate) fn inspect(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
) -> anyhow::Result<Inspected> {
    let text = file.map(read).transpose()?.unwrap_or_default();
    let mut found = Inspected::default();
    let (table, errors) = DeTable::parse_recoverable(&text);
    for error in errors {
        found.faults.push(Told {
            line: error.span().map(|span| place::line(&text, span.start)),
            text: error.message().to_owned(),
        });
    }
    let span = table.span();
    let mut table = table.into_inner();
    let broken = found.faults.iter().filter_map(|fault| fault.line).min();
    let misfits = take_out_what_does_not_fit(&text, &span, &mut table).into_iter();
    // Of a table whose head cannot be read, the keys look like another's: what is unknown from there on may be none.
    let after = |fault: &Told| broken.is_some_and(|broken| fault.line.is_none_or(|line| line > broken));
    found
        .faults
        .extend(misfits.filter(|fault| !(after(fault) && fault.text.contains("unknown key `"))));
    let written = table.clone();
    let mut plain = plain(span, table);
    for (name, value) in environment {
        if let Some(path) = name.strip_prefix(PREFIX)
            && let Err(why) = lay(&mut plain, path, &value)
        {
            let text = format!("in the environment variable {name}: {why}");
            found.faults.push(Told { line: None, text });
        }
    }
    // Whatever is left fits.
    found.markets = Config::of_table(plain)?;
    let line = |market: usize, key: &str| place::find(&written, market, key).map(|at| place::line(&text, at));
    for (market, config) in found.markets.iter_mut().enumerate() {
        if let Some(folder) = file.and_then(Path::parent) {
            config.look_beside(folder);
        }
        let told = |key: &str, text| Told {
            line: line(market, key),
            text,
        };
        let faults = config.faults().into_vec().into_iter();
        found
            .faults
            .extend(faults.map(|fault| told(&fault.key, format!("{:#}", fault.error))));
        let idle = config.without_effect().into_iter();
        found.warnings.extend(idle.map(|(key, why)| told(key, why)));
    }
    found.faults.sort();
    found.faults.dedup();
    found.warnings.sort();
    found.warnings.dedup();
    Ok(found)
}

/// Takes out of a table, and tells of, every place that keeps it from being read.
fn take_out_what_does_not_fit(text: &str, span: &Range<usize>, table: &mut DeTable<'_>) -> Vec<Told> {
    let (mut faults, mut taken) = (Vec::new(), BTreeSet::new());
    while taken.len() < MOST {
        let Some(error) = first_error(span, table) else {
            break;
        };
        let (at, words) = (error.span(), in_words(error.message()));
        let line = at.as_ref().map(|at| place::line(text, at.start));
        let Some(path) = at.and_then(|at| place::take_out(table, &at)) else {
            // What nobody can place is all that can be said.
            table.clear();
            faults.push(Told { line, text: words });
            break;
        };
        // That something is missing which was taken out before has been told.
        let missing = words
            .strip_prefix("missing field `")
            .map(|rest| rest.trim_end_matches('`'));
        let known = missing.is_some_and(|name| taken.contains(&format!("{path}.{name}")));
        if !known {
            let text = format!("{path}: {words}");
            faults.push(Told { line, text });
        }
        taken.insert(path);
    }
    // Else what is left could never be read.
    if first_error(span, table).is_some() {
        table.clear();
    }
    faults
}

/// Why a table cannot be read as a configuration, if it cannot: of the first place.
fn first_error(span: &Range<usize>, table: &DeTable<'_>) -> Option<toml::de::Error> {
    let read = |table: DeTable<'_>| {
        let spanned = Spanned::new(span.clone(), table);
        Config::deserialize(toml::Deserializer::from(spanned)).err()
    };
    let blocks = match table.get("market").map(Spanned::get_ref) {
        Some(DeValue::Array(blocks)) => blocks,
        _ => return read(table.clone()),
    };
    let mut common = table.clone();
    common.remove("market");
    if let Some(error) = read(common) {
        return Some(error);
    }
    blocks.iter().find_map(|block| match block.get_ref() {
        DeValue::Table(own) => read(markets::alone(own)),
        _ => Some(serde::de::Error::custom("a [[market]] block is a table")),
    })
}

/// What serde says, with the name that was probably meant.
fn in_words(message: &str) -> String {
    let Some(rest) = message.strip_prefix("unknown ") else {
        return without_types(message);
    };
    let mut quoted = rest.split('`').skip(1).step_by(2);
    let (Some(given), known) = (quoted.next(), quoted.collect::<Vec<_>>()) else {
        return message.to_owned();
    };
    let what = match rest.starts_with("field") {
        true => "key",
        false => "value",
    };
    match nearest(given, &known) {
        Some(meant) => format!("unknown {what} `{given}`: did you mean `{meant}`?"),
        None => format!("unknown {what} `{given}`: expected one of {}", known.join(", ")),
    }
}

/// What serde says, with what to write in the place of a type's name.
fn without_types(message: &str) -> String {
    let Some((given, expected)) = message.rsplit_once(", expected ") else {
        return message.to_owned();
    };
    let wanted = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative",
        "path string" => "a path in quotes",
        "a string" => "a text in quotes",
        "a boolean" => "true or false",
        "a sequence" => "a list in brackets",
        other => other,
    };
    format!("{given}, expected {wanted}")
}

/// The one of `known` that is written nearly as `given`, if one is.
fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let far = |name: &&str| strsim::damerau_levenshtein(given, name);
    let meant = known.iter().copied().min_by_key(far)?;
    let parts = given.contains(meant) || meant.contains(given);
    let close = far(&meant) <= given.chars().count().max(2) / 2;
    (close || parts && !given.is_empty()).then_some(meant)
}

/// The table without the places of its values.
fn plain(span: Range<usize>, table: DeTable<'_>) -> toml::Table {
    let spanned = Spanned::new(span, table);
    // Every table that was parsed can be read as one.
    toml::Table::deserialize(toml::Deserializer::from(spanned)).unwrap_or_default()
}

/// Lays a variable over the table, unless the configuration cannot be read then; why not, in words.
fn lay(table: &mut toml::Table, path: &str, value: &str) -> Result<(), String> {
    let mut over = table.clone();
    lay_over(&mut over, &path.to_ascii_lowercase(), value).map_err(|error| format!("{error:#}"))?;
    match Config::of_table(over.clone()) {
        Ok(_) => {
            *table = over;
            Ok(())
        }
        Err(error) => Err(match error.root_cause().downcast_ref::<toml::de::Error>() {
            // Its display names the key once more, on a line of its own.
            Some(error) => in_words(error.message()),
            None => in_words(&error.root_cause().to_string()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspected(text: &str, variables: &[(&str, &str)]) -> Inspected {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bourse.toml");
        std::fs::write(&file, text).unwrap();
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        inspect(Some(&file), variables).unwrap()
    }

    fn told(text: &str, variables: &[(&str, &str)]) -> Vec<(Option<usize>, String)> {
        let found = inspected(text, variables);
        found
            .faults
            .into_iter()
            .map(|fault| (fault.line, fault.text))
            .collect()
    }

    #[track_caller]
    fn assert_told(text: &str, expected: &[(usize, &str)]) {
        let told = told(text, &[]);
        let matches = told.len() == expected.len()
            && told
                .iter()
                .zip(expected)
                .all(|((line, text), (at, words))| *line == Some(*at) && text.contains(words));
        assert!(matches, "{told:#?}");
    }

    #[test]
    fn all_faults_are_told_at_once_with_their_lines_and_what_was_meant() {
        assert_told(
            r#"
[realm]
nmae = "corn"
acess = "open"

[market]
sell_deadline_ms = 5
quote_deadline_ms = "long"

[wamp]
listen_ws = "localhost:8080"
connections_per_address = -1

[[policies.rule]]
hook = "pricing"
policy = "surge"
on_failure = "fallback-price"

[[policies.rule]]
hook = "prices"
policy = "surge"
limits = { floor = "3", cap = "1" }

[[wamp.user]]
authid = "alice"
role = "marketmaker"
public_keys = ["ab"]

[http]
listen = "0.0.0.0:1"
"#,
            &[
                (3, "realm.nmae: unknown key `nmae`: did you mean `name`?"),
                (4, "realm.acess: unknown key `acess`: did you mean `access`?"),
                (7, "market.sell_deadline_ms is 5: it must lie in 100 to 60000"),
                (8, "market.quote_deadline_ms: invalid type: string \"long\""),
                (11, "wamp.listen_ws: `localhost:8080` is nowhere to listen"),
                (12, "wamp.connections_per_address: invalid value: integer `-1`"),
                (
                    17,
                    "in [[policies.rule]] number 1: on_failure = \"fallback-price\" needs",
                ),
                (
                    20,
                    "policies.rule.1.hook: unknown value `prices`: did you mean `pricing`?",
                ),
                (24, "[[wamp.user]] for alice: public_keys has `ab`"),
                (26, "the role `marketmaker` is the router's own to give"),
                (30, "http.listen is 0.0.0.0:1"),
            ],
        );
    }

    #[test]
    fn text_that_is_no_toml_does_not_hide_the_rest() {
        let told = told("[realm\nname = 5\n[market]\nsell_deadline_ms = 1\n", &[]);
        assert!(told.iter().any(|(line, _)| *line == Some(1)), "{told:?}");
        assert!(
            told.iter()
                .any(|(line, text)| *line == Some(4) && text.contains("market.sell_deadline_ms is 1")),
            "{told:?}"
        );
    }

    #[test]
    fn a_key_whose_table_cannot_be_read_is_no_unknown_one() {
        let told = told("[realm\nname = \"corn\"\n", &[]);
        assert_eq!(told, [(Some(1), "unclosed table, expected `]`".to_owned())]);
    }

    #[test]
    fn what_is_expected_is_told_in_words_and_not_by_a_type() {
        assert_told(
            "[store]\npath = 5\nmap_size = \"1GB\"\n[policies]\nrequire_signature = \"yes\"\n",
            &[
                (
                    2,
                    "store.path: invalid type: integer `5`, expected a path in quotes",
                ),
                (
                    3,
                    "store.map_size: invalid type: string \"1GB\", expected a whole number that is not negative",
                ),
                (
                    5,
                    "policies.require_signature: invalid type: string \"yes\", expected true or false",
                ),
            ],
        );
    }

    #[test]
    fn a_key_that_is_like_no_other_is_told_with_those_there_are() {
        let told = told("[offers]\nzzz = 1\n", &[]);
        assert_eq!(
            told,
            [(
                Some(2),
                "offers.zzz: unknown key `zzz`: expected one of signature, sweep_after_ms".to_owned()
            )]
        );
    }

    #[test]
    fn variables_are_told_by_their_names() {
        let variables = [
            ("BOURSE__REALM__NAMES", "x"),
            ("BOURSE__MARKET__SELL_DEADLINE_MS", "soon"),
            ("BOURSE__MARKET__QUOTE_DEADLINE_MS", "500"),
        ];
        let found = inspected("", &variables);
        let texts: Vec<_> = found.faults.iter().map(|fault| fault.text.as_str()).collect();
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(texts[1].starts_with("in the environment variable BOURSE__REALM__NAMES"));
        assert!(texts[1].contains("did you mean `name`?"), "{texts:?}");
        assert_eq!(
            texts[0],
            "in the environment variable BOURSE__MARKET__SELL_DEADLINE_MS: invalid type: string \"soon\", expected a \
             whole number that is not negative"
        );
        assert_eq!(found.markets[0].market.quote_deadline_ms, 500);
    }

    #[test]
    fn several_markets_are_inspected_block_by_block() {
        assert_told(
            r#"
[wamp]
listen_wsx = "127.0.0.1:9000"
[[market]]
sell_deadline_ms = 5
realm.name = "corn"
store.path = "data/corn"
[[market]]
realm.nam = "salt"
store.path = "data/salt"
wamp.listen_ws = "127.0.0.1:1"
"#,
            &[
                (3, "unknown key `listen_wsx`: did you mean `listen_ws`?"),
                (5, "market.sell_deadline_ms is 5"),
                (9, "unknown key `nam`: did you mean `name`?"),
                (11, "unknown key `wamp`"),
            ],
        );
    }

    #[test]
    fn settings_without_effect_are_warned_of() {
        let found = inspected(
            "[chain]\nrpc = \"http://127.0.0.1:1\"\ndepth = 3\n[wamp]\nunix_group = true\n",
            &[],
        );
        assert_eq!(found.faults, []);
        let warned: Vec<_> = found
            .warnings
            .iter()
            .map(|told| (told.line, told.text.as_str()))
            .collect();
        assert_eq!(warned.len(), 3, "{warned:?}");
        assert!(
            warned[0].0 == Some(2) && warned[0].1.contains("chain.rpc has no effect"),
            "{warned:?}"
        );
        assert!(
            warned[2].0 == Some(5) && warned[2].1.contains("wamp.unix_group has no effect"),
            "{warned:?}"
        );
    }

    /// What is warned of, line by line, in a file without a fault.
    #[track_caller]
    fn assert_warned(text: &str, expected: &[(usize, &str)]) {
        let found = inspected(text, &[]);
        assert_eq!(found.faults, []);
        let warned = &found.warnings;
        let matches = warned.len() == expected.len()
            && warned
                .iter()
                .zip(expected)
                .all(|(told, (at, words))| told.line == Some(*at) && told.text.contains(words));
        assert!(matches, "{warned:#?}");
    }

    #[test]
    fn consents_that_no_chain_is_told_and_logins_that_no_listener_takes_are_warned_of() {
        assert_warned(
            "[market]\nconsents_per_member = 0\nconsents_per_day = 7\n",
            &[
                (
                    2,
                    "market.consents_per_member has no effect: chain.mode is \"local\"",
                ),
                (
                    3,
                    "market.consents_per_day has no effect: chain.mode is \"local\"",
                ),
            ],
        );
        assert_warned(
            "[wamp]\nconnect = \"ws://127.0.0.1:9000/ws\"\nallow_anonymous_remote = true\ntls_certificate = \"a.pem\"\n\
             tls_key = \"b.pem\"\n",
            &[
                (
                    3,
                    "wamp.allow_anonymous_remote has no effect: the market joins another router",
                ),
                (
                    4,
                    "wamp.tls_certificate has no effect: the market joins another router",
                ),
                (5, "wamp.tls_key has no effect: the market joins another router"),
            ],
        );
    }

    #[test]
    fn a_deadline_for_quotes_that_is_cut_is_warned_of_with_the_one_that_counts() {
        assert_warned(
            "[market]\nsell_deadline_ms = 5001\nquote_deadline_ms = 3000\n",
            &[(
                3,
                "market.quote_deadline_ms is 3000, and 2500 counts: it is half of market.sell_deadline_ms, 5001, at most",
            )],
        );
        assert_warned(
            "[market]\nsell_deadline_ms = 6000\nquote_deadline_ms = 3000\n",
            &[],
        );
        // Nobody asked for the default.
        assert_warned("[market]\nsell_deadline_ms = 700\n", &[]);
    }

    #[test]
    fn keys_of_policies_that_are_none_are_told_each_with_its_line() {
        let good = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        let text = format!("[policies]\nkeys = [\n  \"abc\",\n  \"{good}\",\n  \"{good}00\",\n]\n");
        assert_told(
            &text,
            &[
                (
                    3,
                    "policies.keys, number 1: `abc` is not an Ed25519 public key: expected 64 hex digits",
                ),
                (5, "policies.keys, number 3: `d75a"),
            ],
        );
        assert_eq!(told(&text.replace("abc", good).replace("1a00", "1a"), &[]), []);
    }

    #[test]
    fn what_is_well_is_read_as_the_market_reads_it() {
        let text = "[realm]\nname = \"corn\"\n[market]\nsell_deadline_ms = 700\n";
        let found = inspected(text, &[("BOURSE__OFFERS__SIGNATURE", "require")]);
        assert_eq!((found.faults.len(), found.warnings.len()), (0, 0));
        let config = &found.markets[0];
        assert_eq!(
            (config.realm.name.as_str(), config.market.sell_deadline_ms),
            ("corn", 700)
        );
        assert_eq!(config.offers.signature, crate::config::SignatureRule::Require);
    }
}
