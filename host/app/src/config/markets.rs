//! `[[market]]`: several markets in one process, each laid over what they have in common.

use super::{ChainMode, Config};
use anyhow::{Context, bail, ensure};
use bourse_market::MarketId;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The sections that a block may have of its own.
const OWN: [&str; 5] = ["realm", "store", "chain", "policies", "offers"];

/// Whether a table has `[[market]]` blocks.
pub(super) fn are_several(table: &toml::Table) -> bool {
    matches!(table.get("market"), Some(toml::Value::Array(_)))
}

/// A table for each market: the one there is, or what each `[[market]]` block makes of it.
pub(super) fn split(mut table: toml::Table) -> anyhow::Result<Vec<toml::Table>> {
    if !are_several(&table) {
        return Ok(vec![table]);
    }
    let Some(toml::Value::Array(blocks)) = table.remove("market") else {
        return Ok(vec![table]);
    };
    ensure!(
        !blocks.is_empty(),
        "market is an empty list: name a market, or leave it away"
    );
    let laid = blocks.into_iter().enumerate().map(|(number, block)| {
        let toml::Value::Table(block) = block else {
            bail!("[[market]] number {} is no table", number + 1);
        };
        Ok(laid_over(table.clone(), block))
    });
    laid.collect()
}

/// A block by itself, as if it were a configuration: what it says of its own sections, and the rest as `[market]`.
pub(super) fn alone<'i>(block: &DeTable<'i>) -> DeTable<'i> {
    let (mut sections, mut market) = (DeTable::new(), DeTable::new());
    for (key, value) in block.iter() {
        let own = OWN.contains(&key.get_ref().as_ref());
        let into = if own { &mut sections } else { &mut market };
        into.insert(key.clone(), value.clone());
    }
    let span = market
        .iter()
        .next()
        .map(|(key, _)| key.span())
        .unwrap_or_default();
    sections.insert(
        Spanned::new(span.clone(), "market".into()),
        Spanned::new(span, DeValue::Table(market)),
    );
    sections
}

/// A block over the common table: what it says of its own sections goes into these, the rest is `[market]`.
fn laid_over(mut common: toml::Table, mut block: toml::Table) -> toml::Table {
    for section in OWN {
        if let Some(own) = block.remove(section) {
            merge(&mut common, section, own);
        }
    }
    common.insert("market".to_owned(), toml::Value::Table(block));
    common
}

/// Tables go into each other; anything else takes the place of what was there.
fn merge(under: &mut toml::Table, key: &str, over: toml::Value) {
    match (under.get_mut(key), over) {
        (Some(toml::Value::Table(under)), toml::Value::Table(over)) => {
            for (key, value) in over {
                merge(under, &key, value);
            }
        }
        (_, over) => {
            under.insert(key.to_owned(), over);
        }
    }
}

/// Whether markets can live in one process.
///
/// # Errors
///
/// What two of them share that is of one alone.
pub fn check_together(markets: &[Config]) -> anyhow::Result<()> {
    let mut folders: Vec<PathBuf> = Vec::new();
    let [mut realms, mut keys] = [(); 2].map(|()| BTreeMap::<String, &str>::new());
    let mut ids = BTreeMap::<MarketId, &str>::new();
    for market in markets {
        market
            .check()
            .with_context(|| format!("in the market of realm `{}`", market.realm.name))?;
        let realm = market.realm.name.as_str();
        ensure!(
            realms.insert(realm.to_owned(), realm).is_none(),
            "two [[market]] blocks have the realm `{realm}`: give each a `realm.name` of its own"
        );
        let folder = whole(&market.store.path);
        if let Some(other) = folders
            .iter()
            .find(|other| other.starts_with(&folder) || folder.starts_with(other))
        {
            bail!(
                "two [[market]] blocks keep their data in {} and {}: give each a `store.path` of its own, none inside of another's",
                other.display(),
                folder.display()
            );
        }
        folders.push(folder);
        // An id can be written in several ways.
        if let Some(id) = market.market_id()?
            && let Some(other) = ids.insert(id, realm)
        {
            bail!("the markets of the realms `{other}` and `{realm}` have the same market.id");
        }
        // One account has one row of transactions, and two ledgers would both count it.
        if market.chain.mode != ChainMode::Local
            && let Some(other) = keys.insert(whole(&market.key_path()).display().to_string(), realm)
        {
            bail!(
                "the markets of the realms `{other}` and `{realm}` send their transactions with the same key: give each a \
                 `chain.key` of its own"
            );
        }
    }
    Ok(())
}

/// A path as it is seen from here, without the detours that can be seen by its text.
fn whole(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let absolute = std::fs::canonicalize(&absolute).unwrap_or(absolute);
    let mut plain = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Vec<Config>> {
        split(text.parse().unwrap())?
            .into_iter()
            .map(|table| Ok(table.try_into()?))
            .collect()
    }

    const TWO: &str = r#"
        [wamp]
        listen_ws = "127.0.0.1:9000"
        [chain.local]
        float = 7
        [[policies.rule]]
        hook = "pricing"
        policy = "surge"
        [[market]]
        sell_deadline_ms = 500
        realm.name = "corn"
        store.path = "data/corn"
        [[market]]
        realm.name = "salt"
        store.path = "data/salt"
        offers.signature = "require"
        chain.local.float = 8
        policies.default_rule = false
    "#;

    #[test]
    fn each_block_is_laid_over_what_the_markets_have_in_common() {
        let markets = read(TWO).unwrap();
        check_together(&markets).unwrap();
        let [corn, salt] = &markets[..] else {
            panic!("{}", markets.len())
        };
        assert_eq!(
            (corn.realm.name.as_str(), salt.realm.name.as_str()),
            ("corn", "salt")
        );
        assert_eq!(
            (corn.market.sell_deadline_ms, salt.market.sell_deadline_ms),
            (500, 10_000)
        );
        assert_eq!((corn.chain.local.float, salt.chain.local.float), (7, 8));
        assert_eq!((corn.policies.rule.len(), salt.policies.rule.len()), (1, 1));
        assert!(corn.policies.default_rule && !salt.policies.default_rule);
        assert_eq!(corn.wamp.listen_ws.port(), 9000);
        assert_eq!(salt.wamp.listen_ws.port(), 9000);
    }

    #[test]
    fn what_is_of_one_market_alone_is_named_where_two_have_it() {
        let refused = |from: &str, to: &str| {
            let markets = read(&TWO.replace(from, to)).unwrap();
            check_together(&markets).unwrap_err().to_string()
        };
        let said = refused("\"salt\"", "\"corn\"");
        assert!(said.contains("realm `corn`"), "{said}");
        for path in ["data/corn", "data/corn/salt", "data/../data/corn"] {
            let said = refused("data/salt", path);
            assert!(said.contains("store.path"), "{said}");
        }
        let mut markets = read(TWO).unwrap();
        // One id, written in two ways.
        for (market, spelled) in markets.iter_mut().zip([
            "67e55044-10b1-426f-9247-bb680e5fe0c8",
            "67E5504410B1426F9247BB680E5FE0C8",
        ]) {
            market.market.id = Some(spelled.to_owned());
        }
        let said = check_together(&markets).unwrap_err().to_string();
        assert!(said.contains("the same market.id"), "{said}");
    }

    #[test]
    fn a_block_has_only_what_a_market_has() {
        let error = read("[[market]]\nwamp.listen_ws = \"127.0.0.1:1\"").unwrap_err();
        assert!(format!("{error:#}").contains("wamp"), "{error:#}");
        assert!(read("market = []").is_err());
        assert!(read("market = [1]").is_err());
    }
}
