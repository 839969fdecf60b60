//! How a configuration comes together: the file, then `BOURSE__SECTION__KEY` from the environment. Flags come last, and are
//! the command line's.

use super::{Config, Wamp, markets};
use anyhow::Context;
use std::path::Path;

/// What stands before the name of a setting in the environment.
pub(super) const PREFIX: &str = "BOURSE__";

impl Config {
    /// Reads `file`, if any, and lays `BOURSE__SECTION__KEY` variables over it. For a file of one market.
    ///
    /// # Errors
    ///
    /// As [`Config::load_all`], and if there are several markets.
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> anyhow::Result<Self> {
        let mut markets = Self::load_all(file, environment)?;
        match (markets.pop(), markets.is_empty()) {
            (Some(market), true) => Ok(market),
            _ => anyhow::bail!("the configuration is of several markets: name the data folder of one"),
        }
    }

    /// Reads `file`, if any, and lays `BOURSE__SECTION__KEY` variables over it: one configuration for each `[[market]]` block,
    /// or one in all.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, a key is unknown or a value does not fit.
    pub fn load_all(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> anyhow::Result<Vec<Self>> {
        let mut table = match file {
            None => toml::Table::new(),
            Some(path) => {
                let text = read(path)?;
                let table: toml::Table = text.parse().with_context(|| format!("in {}", path.display()))?;
                if !markets::are_several(&table) {
                    // Parsed as a whole, so that an error shows its line.
                    toml::from_str::<Self>(&text).with_context(|| format!("in {}", path.display()))?;
                }
                table
            }
        };
        for (name, value) in environment {
            if let Some(path) = name.strip_prefix(PREFIX) {
                lay_over(&mut table, &path.to_ascii_lowercase(), &value)
                    .with_context(|| format!("in the environment variable {name}"))?;
            }
        }
        let mut configs = Self::of_table(table)?;
        if let Some(folder) = file.and_then(Path::parent) {
            configs.iter_mut().for_each(|config| config.look_beside(folder));
        }
        Ok(configs)
    }

    /// The markets that a table describes.
    pub(super) fn of_table(table: toml::Table) -> anyhow::Result<Vec<Self>> {
        let several = markets::are_several(&table);
        let markets = markets::split(table).context("in the configuration")?;
        let configs = markets.into_iter().enumerate().map(|(number, table)| {
            let config: Self = table.try_into().with_context(|| match several {
                true => format!("in [[market]] number {}", number + 1),
                false => "in the configuration".to_owned(),
            })?;
            Ok(config)
        });
        configs.collect()
    }

    /// Has its files looked for beside the configuration; a path that is whole by itself stays what it is.
    pub(super) fn look_beside(&mut self, folder: &Path) {
        let Wamp {
            tls_certificate,
            tls_key,
            ..
        } = &mut self.wamp;
        let token = &mut self.http.token_file;
        for path in [&mut self.chain.eula_file, tls_certificate, tls_key, token]
            .into_iter()
            .flatten()
        {
            *path = folder.join(&*path);
        }
    }
}

/// The text of a configuration.
pub(super) fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read the configuration {}", path.display()))
}

/// Sets `section__key` in `table`; a value that is no TOML is taken as a string.
pub(super) fn lay_over(table: &mut toml::Table, path: &str, value: &str) -> anyhow::Result<()> {
    let (sections, key) = path.rsplit_once("__").context("expected BOURSE__SECTION__KEY")?;
    let mut at = table;
    for section in sections.split("__") {
        at = at
            .entry(section)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()))
            .as_table_mut()
            .with_context(|| format!("`{section}` is no section"))?;
    }
    let parsed = format!("value = {value}")
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut table| table.remove("value"));
    at.insert(
        key.to_owned(),
        parsed.unwrap_or_else(|| toml::Value::String(value.to_owned())),
    );
    Ok(())
}
