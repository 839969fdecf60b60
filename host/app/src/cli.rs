//! The command line. Exit codes: 0 done, 1 a check failed or the command did, 2 wrong usage, 3 the host is out of reach.

use crate::commands;
use crate::config::{Config, Inspected, LogFormat, Logging, inspect};
use crate::{logs, otlp};
use clap::{Args, CommandFactory, Parser, Subcommand};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A check failed, or the command did.
const FAILED: u8 = 1;
/// The host is out of reach.
const UNREACHABLE: u8 = 3;

/// A market maker whose prices and rules are WebAssembly programs.
#[derive(Debug, Parser)]
#[command(name = "bourse", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Configuration file (TOML).
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data folder: ledger, key, policies. Overrides store.path.
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Form of the answer, of commands that have both. By default a table on a terminal and JSON anywhere else.
    #[arg(long, global = true, value_name = "FORM", value_enum)]
    output: Option<crate::output::Form>,
    /// Form of the lines on standard error. Overrides log.format.
    #[arg(long, global = true, value_name = "FORM", value_enum)]
    log_format: Option<LogFormat>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the market.
    Serve(ServeArgs),
    /// Show how the running market does. Exit code 0 if clients can trade in it, 1 if not, 3 if none runs there.
    Status,
    /// Begin a configuration, and check it.
    #[command(subcommand)]
    Config(commands::ConfigCommand),
    /// Check, copy, restore and look at the ledger.
    #[command(subcommand)]
    Ledger(commands::LedgerCommand),
    /// Make, take over and look at the market maker's key.
    #[command(subcommand)]
    Keys(commands::KeysCommand),
    /// Keys, test tokens and channels for a market in local mode.
    #[command(subcommand)]
    Dev(commands::DevCommand),
    /// Write, prove and run policies.
    #[command(subcommand)]
    Policy(commands::PolicyCommand),
    /// Look at what policies decided.
    #[command(subcommand)]
    Decisions(commands::DecisionsCommand),
    /// Prepare who may log in.
    #[command(subcommand)]
    Wamp(commands::WampCommand),
    /// Print what a shell needs to complete this command line.
    Completions(commands::CompletionsArgs),
    /// Write manual pages.
    Man(commands::ManArgs),
}

/// `bourse serve`
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Add a seller and a buyer that trade continuously.
    #[arg(long)]
    pub(crate) demo: bool,
    /// Stop after this many sales of the demo.
    #[arg(long, value_name = "N", requires = "demo", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) sales: Option<u64>,
    /// WebSocket listener. Overrides wamp.listen_ws; port 0 picks a free one.
    #[arg(long, value_name = "ADDRESS", value_parser = crate::config::listen::parse)]
    listen_ws: Option<std::net::SocketAddr>,
    /// RawSocket listener. Overrides wamp.listen_rs.
    #[arg(long, value_name = "ADDRESS", value_parser = crate::config::listen::parse)]
    listen_rs: Option<std::net::SocketAddr>,
    /// HTTP listener. Overrides http.listen.
    #[arg(long, value_name = "ADDRESS", value_parser = crate::config::listen::parse)]
    listen_http: Option<std::net::SocketAddr>,
}

impl Common {
    /// The configurations of all markets, or of the one whose data folder is named.
    pub(crate) fn load(&self) -> anyhow::Result<Vec<Config>> {
        let markets = Config::load_all(self.config.as_deref(), variables())?;
        self.chosen(markets)
    }

    /// Everything that is wrong with the configuration.
    pub(crate) fn inspect(&self) -> anyhow::Result<Inspected> {
        inspect(self.config.as_deref(), variables())
    }

    /// What to tell somebody whose configuration lies here and was not named, if so.
    fn unread(&self, folder: &Path) -> Option<String> {
        let usual = commands::USUAL_FILE;
        let there = self.config.is_none() && folder.join(usual).is_file();
        there.then(|| format!("{usual} lies here and is not read: `--config {usual}` has it read"))
    }

    /// The configuration's file, if one is named.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// All markets, or the one whose data folder is named.
    pub(crate) fn chosen(&self, mut markets: Vec<Config>) -> anyhow::Result<Vec<Config>> {
        match (&self.data, &mut markets[..]) {
            (None, _) => {}
            (Some(data), [only]) => only.store.path.clone_from(data),
            (Some(data), several) => {
                let named = several
                    .iter()
                    .position(|market| is_the_same(&market.store.path, data));
                let Some(named) = named else {
                    anyhow::bail!(
                        "no market keeps its data in {}: {}",
                        data.display(),
                        folders(&markets)
                    );
                };
                markets = vec![markets.swap_remove(named)];
            }
        }
        Ok(markets)
    }

    /// How lines are told: as the first market has it, for they are the process's.
    fn logging(&self, markets: &[Config]) -> Logging {
        let mut logging = markets
            .first()
            .map(|config| config.log.clone())
            .unwrap_or_default();
        if let Some(format) = self.log_format {
            logging.format = format;
        }
        logging
    }
}

/// The environment. What is no Unicode cannot be meant for us, and must not stop us: `vars` would panic on it.
fn variables() -> impl Iterator<Item = (String, String)> {
    let all = std::env::vars_os();
    all.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Whether two paths lead to one folder; by their text where it is not there.
fn is_the_same(one: &std::path::Path, other: &std::path::Path) -> bool {
    let canonical = |path: &std::path::Path| std::fs::canonicalize(path).ok();
    one == other || canonical(one).is_some_and(|one| canonical(other) == Some(one))
}

fn folders(markets: &[Config]) -> String {
    let folders: Vec<_> = markets
        .iter()
        .map(|market| market.store.path.display().to_string())
        .collect();
    format!("theirs are {}", folders.join(", "))
}

/// The configuration of the one market that a command is about.
fn one(markets: Vec<Config>) -> anyhow::Result<Config> {
    let several = folders(&markets);
    let [market] = <[Config; 1]>::try_from(markets).map_err(|_| {
        anyhow::anyhow!("the configuration is of several markets, say which with --data: {several}")
    })?;
    Ok(market)
}

impl ServeArgs {
    fn lay_over(&self, config: &mut Config) {
        for (flag, setting) in [
            (self.listen_ws, &mut config.wamp.listen_ws),
            (self.listen_rs, &mut config.wamp.listen_rs),
            (self.listen_http, &mut config.http.listen),
        ] {
            if let Some(address) = flag {
                *setting = address;
            }
        }
    }
}

/// Parses the process's arguments, runs the command and says how it went.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let ended = dispatch(cli);
    otlp::finish();
    match ended {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            let unreachable = error.chain().any(|cause| cause.is::<commands::Unreachable>());
            ExitCode::from(if unreachable { UNREACHABLE } else { FAILED })
        }
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let Cli { common, command } = cli;
    crate::output::choose(common.output);
    if matches!(
        command,
        Command::Serve(_) | Command::Config(commands::ConfigCommand::Check)
    ) && let Some(note) = common.unread(Path::new("."))
    {
        eprintln!("note: {note}");
    }
    // These are of no market, or of none that could run.
    let command = match command {
        Command::Completions(args) => return Ok(commands::completions(Cli::command(), &args)),
        Command::Man(args) => return commands::man(Cli::command(), &args),
        Command::Config(command) => {
            logs::start(&common.logging(&[]))?;
            return commands::config(&common, command);
        }
        command => command,
    };
    let markets = common.load()?;
    let logging = common.logging(&markets);
    match command {
        Command::Serve(_) => logs::start_serving(&logging)?,
        _ => logs::start(&logging)?,
    }
    let config = match command {
        Command::Serve(args) => {
            // Read anew whenever the operator asks for it.
            let load = || {
                let mut markets = common.load()?;
                markets.iter_mut().for_each(|config| args.lay_over(config));
                Ok(markets)
            };
            return block_on(beside_sockets(&markets), commands::serve(load, &args));
        }
        Command::Status => return commands::status(&markets),
        _ => one(markets)?,
    };
    match command {
        // Done above.
        Command::Serve(_)
        | Command::Status
        | Command::Config(_)
        | Command::Completions(_)
        | Command::Man(_) => Ok(ExitCode::SUCCESS),
        Command::Ledger(command) => commands::ledger(&config, &command),
        Command::Keys(command) => commands::keys(&config, command),
        Command::Dev(command) => block_on(None, commands::dev(&config, command)),
        Command::Policy(command) => block_on(None, commands::policy(&config, command)),
        Command::Decisions(command) => commands::decisions(&config, &command),
        Command::Wamp(command) => commands::wamp(&command),
    }
}

/// Processors that the sockets of our own router, which have threads of their own, leave to the rest of a market. None where
/// another router has the sockets.
fn beside_sockets(markets: &[Config]) -> Option<usize> {
    let ours = markets.first()?.wamp.connect.is_none();
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    ours.then(|| processors.saturating_sub(bourse_wamp::socket_threads()).max(1))
}

/// Runs a command on so many threads, else on as many as tokio finds right.
fn block_on<F: Future<Output = anyhow::Result<ExitCode>>>(
    threads: Option<usize>,
    command: F,
) -> anyhow::Result<ExitCode> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = threads {
        runtime.worker_threads(threads);
    }
    runtime.enable_all().build()?.block_on(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_configuration_that_lies_here_and_is_not_named_is_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let common = |words: &[&str]| Cli::try_parse_from(words).unwrap().common;
        let unnamed = common(&["bourse", "serve"]);
        assert_eq!(unnamed.unread(folder.path()), None);
        std::fs::write(folder.path().join(commands::USUAL_FILE), "").unwrap();
        let told = unnamed.unread(folder.path()).unwrap();
        assert!(told.contains("--config bourse.toml"), "{told}");
        let named = common(&["bourse", "serve", "--config", "other.toml"]);
        assert_eq!(named.unread(folder.path()), None);
    }
}
