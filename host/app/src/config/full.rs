//! The configuration that `bourse config init --full` writes, made of the types: each setting with what its doc comment says and
//! its default. Run with `BOURSE_PRINT=1`, the first test writes it anew.

use super::{Config, inspect};
use crate::commands::FULL;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Where the types are.
const SOURCES: [&str; 9] = [
    include_str!("../config.rs"),
    include_str!("chain.rs"),
    include_str!("connect.rs"),
    include_str!("role.rs"),
    include_str!("rule.rs"),
    include_str!("user.rs"),
    include_str!("../../../policy/src/hook.rs"),
    include_str!("../../../policy/src/grants.rs"),
    include_str!("../../../policy/src/limits.rs"),
];

/// The sections in their order, and the types of which they are. Those in two brackets are lists of tables.
const SECTIONS: [(&str, &str); 20] = [
    ("[realm]", "Realm"),
    ("[store]", "Store"),
    ("[market]", "Market"),
    ("[offers]", "Offers"),
    ("[policies]", "Policies"),
    ("[policies.log]", "Log"),
    ("[[policies.rule]]", "Rule"),
    ("[policies.rule.limits]", "RuleLimits"),
    ("[chain]", "Chain"),
    ("[chain.local]", "Local"),
    ("[chain.contracts]", "ContractAddresses"),
    ("[wamp]", "Wamp"),
    ("[wamp.login]", "Login"),
    ("[[wamp.ticket]]", "Ticket"),
    ("[[wamp.user]]", "User"),
    ("[[wamp.role]]", "Role"),
    ("[[wamp.role.rule]]", "RoleRule"),
    ("[http]", "Http"),
    ("[log]", "Logging"),
    ("[compat]", "Compat"),
];

/// Sections that are not there by default, with what is in them; their headers are commented out too.
const ABSENT: [&str; 7] = [
    "[[policies.rule]]",
    "[policies.rule.limits]",
    "[chain.contracts]",
    "[[wamp.ticket]]",
    "[[wamp.user]]",
    "[[wamp.role]]",
    "[[wamp.role.rule]]",
];

/// What is written where there is no default.
const EXAMPLES: &[(&str, &str)] = &[
    ("market.id", "\"67e55044-10b1-426f-9247-bb680e5fe0c8\""),
    ("market.paying_cap", "50000"),
    ("policies.dir", "\"bourse-data/policies\""),
    ("policies.rule.hook", "\"pricing\""),
    ("policies.rule.policy", "\"surge\""),
    ("policies.rule.params", "{ step_bp = 500 }"),
    ("policies.rule.applies_to", "\"dynamic\""),
    ("policies.rule.api", "\"da38afed-caa2-4c45-a165-a6b1ab0b1715\""),
    (
        "policies.rule.catalog",
        "\"8a2f1c5e-0d3b-4c7e-9f61-2b7d5e4a9c10\"",
    ),
    ("policies.rule.uri", "\"com.example.\""),
    ("policies.rule.category", "{ unit = \"celsius\" }"),
    (
        "policies.rule.seller",
        "\"0x95cED938F7991cd0dFcb48F0a06a40FA1aF46EBC\"",
    ),
    ("policies.rule.on_failure", "\"fallback-price\""),
    ("policies.rule.fallback_price", "\"0.5\""),
    ("policies.rule.grants", "[\"market\"]"),
    ("policies.rule.shadow", "\"surge-next\""),
    ("policies.rule.instances", "\"fresh\""),
    ("policies.rule.limits.fuel", "10000000"),
    ("policies.rule.limits.deadline_ms", "50"),
    ("policies.rule.limits.memory", "8388608"),
    ("policies.rule.limits.floor", "\"0.1\""),
    ("policies.rule.limits.cap", "100"),
    ("policies.rule.limits.max_valid_ms", "30000"),
    ("chain.key", "\"/etc/bourse/marketmaker.key\""),
    ("chain.key_passphrase_file", "\"/etc/bourse/passphrase\""),
    ("chain.rpc", "\"https://node.example.org/v3/KEY\""),
    ("chain.ws", "\"wss://node.example.org/v3/KEY\""),
    ("chain.ipfs_gateway", "\"https://ipfs.example.org\""),
    ("chain.eula_file", "\"eula.txt\""),
    (
        "chain.contracts.token",
        "\"0x5b1869D9A4C187F2EAa108f3062412ecf0526b24\"",
    ),
    (
        "chain.contracts.network",
        "\"0xCfEB869F69431e42cdB54A4F4f105C19C080A601\"",
    ),
    (
        "chain.contracts.catalog",
        "\"0xC89Ce4735882C9F0f0FE26686c53074E09B0D550\"",
    ),
    (
        "chain.contracts.market",
        "\"0xD833215cBcc3f914bD1C9ece3EE7BF8B14f841bb\"",
    ),
    (
        "chain.contracts.channel",
        "\"0x9561C133DD8580860B6b7E504bC5Aa500f0f06a7\"",
    ),
    ("http.token_file", "\"/var/lib/bourse/operator.token\""),
    ("log.otlp", "\"http://127.0.0.1:4318\""),
    ("wamp.listen_wss", "\"0.0.0.0:8443\""),
    ("wamp.listen_rss", "\"0.0.0.0:8444\""),
    ("wamp.listen_unix", "\"bourse-data/wamp.sock\""),
    ("wamp.tls_certificate", "\"certificate.pem\""),
    ("wamp.tls_key", "\"key.pem\""),
    ("wamp.connect", "\"wss://router.example.org/ws\""),
    ("wamp.connect_ca", "\"authority.pem\""),
    ("wamp.connect_certificate", "\"market.pem\""),
    ("wamp.connect_key", "\"market.key.pem\""),
    ("wamp.login.authid", "\"market\""),
    ("wamp.login.file", "\"/etc/bourse/login\""),
    ("wamp.ticket.authid", "\"seller-1\""),
    ("wamp.ticket.role", "\"delegate\""),
    ("wamp.ticket.file", "\"/etc/bourse/seller-1.ticket\""),
    ("wamp.user.authid", "\"alice\""),
    ("wamp.user.role", "\"operator\""),
    ("wamp.user.ticket_file", "\"/etc/bourse/alice.ticket\""),
    ("wamp.user.cra_file", "\"/etc/bourse/alice.cra\""),
    ("wamp.user.scram_file", "\"/etc/bourse/alice.scram\""),
    (
        "wamp.user.public_keys",
        "[\"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\"]",
    ),
    ("wamp.role.name", "\"viewer\""),
    ("wamp.role.rule.uri", "\"xbr.marketmaker.buy_key\""),
    ("wamp.role.rule.match", "\"exact\""),
    ("wamp.role.rule.call", "false"),
    ("wamp.role.rule.register", "false"),
    ("wamp.role.rule.publish", "false"),
    ("wamp.role.rule.subscribe", "true"),
    ("wamp.role.rule.disclose", "{ publisher = false }"),
];

/// A field of a type, or a word that an enumeration may be.
struct Item {
    name: String,
    kind: String,
    words: Vec<String>,
}

/// The types of the sources, by their names, with what each says of itself first.
fn types() -> BTreeMap<String, (bool, Vec<Item>)> {
    let mut types = BTreeMap::new();
    for source in SOURCES {
        let mut lines = source.lines();
        let mut above: Vec<&str> = Vec::new();
        while let Some(line) = lines.next() {
            let opens = |what: &str| line.strip_prefix(what).and_then(|rest| rest.strip_suffix(" {"));
            let found = opens("pub struct ")
                .map(|name| (name, true))
                .or_else(|| opens("pub enum ").map(|name| (name, false)));
            if let Some((name, is_struct)) = found {
                let items = items(lines.by_ref(), is_struct, &above.join("\n"));
                types.insert(name.to_owned(), (is_struct, items));
            }
            match line.starts_with('#') || line.starts_with("///") {
                true => above.push(line),
                false => above.clear(),
            }
        }
    }
    types
}

fn items<'a>(lines: impl Iterator<Item = &'a str>, of_struct: bool, above: &str) -> Vec<Item> {
    let (mut items, mut words, mut renamed) = (Vec::new(), Vec::new(), None);
    for line in lines.take_while(|line| *line != "}") {
        let line = line.trim();
        if let Some(text) = line.strip_prefix("///") {
            words.push(text.trim().to_owned());
        } else if line.starts_with("#[") {
            let name = line
                .split_once("rename = \"")
                .and_then(|(_, rest)| rest.split_once('"'));
            renamed = name.map(|(name, _)| name.to_owned()).or(renamed);
        } else {
            let field = line
                .strip_prefix("pub ")
                .and_then(|line| line.trim_end_matches(',').split_once(": "));
            let (name, kind) = match (of_struct, field) {
                (true, Some((name, kind))) => (name.to_owned(), kind.to_owned()),
                (true, None) => continue,
                (false, _) => (in_file(line.trim_end_matches(','), above), String::new()),
            };
            items.push(Item {
                name: renamed.take().unwrap_or(name),
                kind,
                words: std::mem::take(&mut words),
            });
        }
    }
    items
}

/// A variant as a file has it.
fn in_file(variant: &str, above: &str) -> String {
    let between = match above {
        _ if above.contains("kebab-case") => "-",
        _ if above.contains("snake_case") => "_",
        _ => "",
    };
    let mut text = String::new();
    for (index, letter) in variant.chars().enumerate() {
        if letter.is_uppercase() && index > 0 {
            text.push_str(between);
        }
        text.extend(letter.to_lowercase());
    }
    text
}

/// The value at a path of the defaults.
fn default(path: &str) -> Option<toml::Value> {
    let table = toml::Table::try_from(Config::default()).unwrap();
    let (mut at, mut parts) = (toml::Value::Table(table), path.split('.'));
    parts.try_for_each(|part| {
        at = at.get(part)?.clone();
        Some(())
    })?;
    Some(at)
}

/// What a type is about, where it is more than one value.
fn inner(kind: &str) -> &str {
    let kind = kind.trim_start_matches("Option<").trim_start_matches("Vec<");
    kind.trim_end_matches('>')
}

fn printed() -> String {
    let types = types();
    let sections: Vec<_> = SECTIONS.iter().map(|(_, name)| *name).collect();
    let (_, of_config) = &types["Config"];
    let mut text = String::from(
        "# Every setting of a market, with its default, or an example where there is none. A line without a space behind its # is a\n\
         # setting: take the # away to change it. The environment goes before this file (BOURSE__SECTION__KEY), flags go before both.\n\
         # `bourse config check --config FILE` says what is wrong with it. Settings of paths are relative to where the market is started,\n\
         # those of chain.eula_file, wamp.tls_certificate, wamp.tls_key and http.token_file to this file.\n",
    );
    for (header, name) in SECTIONS {
        let path = header.trim_matches(['[', ']']);
        let about = of_config.iter().find(|item| item.name == path);
        text.push('\n');
        for words in about.iter().flat_map(|item| &item.words) {
            let _ = writeln!(text, "# {words}");
        }
        let hash = if ABSENT.contains(&header) { "#" } else { "" };
        let _ = writeln!(text, "{hash}{header}");
        let (_, items) = &types[name];
        for item in items.iter().filter(|item| !sections.contains(&inner(&item.kind))) {
            text.push_str(&setting(&format!("{path}.{}", item.name), item, &types));
        }
    }
    text
}

fn setting(path: &str, item: &Item, types: &BTreeMap<String, (bool, Vec<Item>)>) -> String {
    let mut text = String::new();
    for words in &item.words {
        let _ = writeln!(text, "# {words}");
    }
    if let Some((false, choices)) = types.get(inner(&item.kind)) {
        for choice in choices {
            let _ = writeln!(text, "#   \"{}\": {}", choice.name, choice.words.join(" "));
        }
    }
    let example = EXAMPLES.iter().find(|(known, _)| *known == path);
    let value = match (default(path), example) {
        (Some(value), None) => value.to_string(),
        (None, Some((_, example))) => (*example).to_owned(),
        (Some(_), Some(_)) => panic!("{path} has a default, and an example that nobody sees: take it away"),
        (None, None) => panic!("{path} has no default: write an example for it into EXAMPLES"),
    };
    let _ = writeln!(text, "#{} = {value}", item.name);
    text
}

/// The file with every setting taken out of its comment.
fn uncommented() -> String {
    let lines = FULL.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if !setting.is_empty() && !setting.starts_with(' ') => setting,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_file_shows_the_types_as_they_are() {
    if std::env::var_os("BOURSE_PRINT").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/full.toml");
        std::fs::write(path, printed()).unwrap();
        return;
    }
    assert_eq!(
        FULL,
        printed(),
        "run this test with BOURSE_PRINT=1 to print it anew"
    );
}

#[test]
fn each_setting_that_it_names_is_one_and_has_the_default_that_it_says() {
    let shown: toml::Table = uncommented().parse().unwrap();
    shown.clone().try_into::<Config>().unwrap();
    let defaults = toml::Table::try_from(Config::default()).unwrap();
    let mut compared = 0;
    let mut open = vec![(
        String::new(),
        toml::Value::Table(defaults),
        toml::Value::Table(shown),
    )];
    while let Some((path, default, shown)) = open.pop() {
        match default {
            toml::Value::Table(table) => {
                for (key, default) in table {
                    let path = format!("{path}.{key}");
                    let shown = shown.get(&key).unwrap_or_else(|| panic!("{path} is not shown"));
                    open.push((path, default, shown.clone()));
                }
            }
            // A list of tables is empty by default, and there shown by one.
            toml::Value::Array(list)
                if list.is_empty() && shown.as_array().is_some_and(|it| !it.is_empty()) => {}
            default => {
                assert_eq!(shown, default, "{path}");
                compared += 1;
            }
        }
    }
    assert!(compared >= 40, "{compared}");
}

#[test]
fn as_it_is_written_it_says_what_no_file_says() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bourse.toml");
    std::fs::write(&file, FULL).unwrap();
    let found = inspect(Some(&file), std::iter::empty()).unwrap();
    assert_eq!((found.faults, found.warnings), (Vec::new(), Vec::new()));
    let said = |config: &Config| toml::to_string(config).unwrap();
    assert_eq!(said(&found.markets[0]), said(&Config::default()));
}

#[test]
fn every_type_of_a_section_is_in_it() {
    let sections: Vec<_> = SECTIONS.iter().map(|(_, name)| *name).collect();
    // Written in one line, as a value.
    let inline = ["Config", "Disclose"];
    for source in &SOURCES[..6] {
        let structs = source
            .lines()
            .filter_map(|line| line.strip_prefix("pub struct ")?.strip_suffix(" {"));
        for name in structs.filter(|name| !inline.contains(name)) {
            assert!(sections.contains(&name), "{name} is in no section");
        }
    }
}
