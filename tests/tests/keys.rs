//! The market maker's key through the real binary: the forms it is read in, `bourse keys`, and that it never shows.

#![allow(clippy::unwrap_used, reason = "a test's own helpers may stop the test")]

use bourse_chain::{Signer, checksum};
use bourse_tests::run_with;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

/// Exit code of a command that failed.
const FAILED: i32 = 1;
/// Exit code of wrong usage.
const USAGE: i32 = 2;

/// Everything that is ever logged, but for what the compiler of policies says: gigabytes, and no key comes near it.
const TRACE: &str = "trace,cranelift_codegen=warn,cranelift_frontend=warn,cranelift_wasm=warn,regalloc2=warn,\
                     wasmtime=warn,wasmtime_cranelift=warn,wasmtime_environ=warn,wasmparser=warn";
const VARIABLE: &str = "BOURSE_KEY_PASSPHRASE";
const PASSPHRASE: &str = "correct horse battery staple";

/// A folder, and what commands say in it.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file that only its owner can read.
    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// `bourse keys` with these arguments, of which those that start with `@` name files of the folder.
    fn keys(&self, args: &[&str], environment: &[(&str, &str)]) -> Output {
        let args = args.iter().map(|arg| match arg.strip_prefix('@') {
            Some(name) => self.path(name).to_str().unwrap().to_owned(),
            None => (*arg).to_owned(),
        });
        let args: Vec<String> = std::iter::once("keys".to_owned()).chain(args).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        run_with(&self.path("data"), &args, environment)
    }

    /// The address that a command printed, and nothing else with it.
    fn address(&self, args: &[&str], environment: &[(&str, &str)]) -> String {
        let output = self.keys(args, environment);
        assert!(output.status.success(), "{args:?}: {}", said(&output));
        assert!(output.stderr.is_empty(), "{args:?}: {}", said(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.strip_suffix('\n').unwrap();
        assert!(line.starts_with("0x") && line.len() == 42, "{text}");
        line.to_owned()
    }

    /// What a command that ended with `code` said.
    fn refused(&self, args: &[&str], environment: &[(&str, &str)], code: i32) -> String {
        let output = self.keys(args, environment);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", said(&output));
        assert!(output.stdout.is_empty(), "{args:?}: {}", said(&output));
        said(&output)
    }
}

fn said(output: &Output) -> String {
    let both = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn a_key_is_made_where_the_market_looks_for_it_and_no_file_is_written_over() {
    let desk = Desk::new();
    let made = desk.address(&["new"], &[]);
    let key = desk.path("data/marketmaker.key");
    assert_eq!((mode(&key), mode(key.parent().unwrap())), (0o600, 0o700));
    assert_eq!(desk.address(&["show-address"], &[]), made);
    assert_eq!(
        desk.address(&["show-address", "@data/marketmaker.key"], &[]),
        made
    );
    let content = std::fs::read(&key).unwrap();
    desk.file("other", [0x11; 32]);
    for args in [
        ["new", "--out", "@data/marketmaker.key"].as_slice(),
        &["new"],
        &["import", "@other"],
        &["import", "@other", "--out", "@other"],
    ] {
        let text = desk.refused(args, &[], FAILED);
        assert!(text.contains("exists already"), "{text}");
    }
    assert_eq!(std::fs::read(&key).unwrap(), content);
    assert_eq!(std::fs::read(desk.path("other")).unwrap(), [0x11; 32]);
    assert_ne!(desk.address(&["new", "--out", "@second"], &[]), made);
}

#[test]
fn a_key_is_taken_over_from_each_of_the_three_forms_and_encrypted_if_asked_to() {
    let desk = Desk::new();
    let raw = *b"a raw key that looks like text..";
    let expected = checksum(Signer::from_bytes(&raw).unwrap().address());
    desk.file("raw", raw);
    desk.file("hex", format!("0x{}\n", hex::encode(raw)));
    desk.file("passphrase", format!("{PASSPHRASE}\n"));
    let secret = [(VARIABLE, PASSPHRASE)];
    for (args, environment) in [
        (["import", "@raw", "--out", "@a"].as_slice(), [].as_slice()),
        (&["import", "@hex", "--out", "@b"], &[]),
        (&["import", "@raw", "--out", "@keystore", "--encrypt"], &secret),
        (&["import", "@keystore", "--out", "@c"], &secret),
        (
            &[
                "import",
                "@keystore",
                "--out",
                "@d",
                "--passphrase-file",
                "@passphrase",
            ],
            &[],
        ),
        (
            &[
                "import",
                "@hex",
                "--out",
                "@e",
                "--encrypt",
                "--passphrase-file",
                "@passphrase",
            ],
            // The file goes before the variable.
            &[(VARIABLE, "another")],
        ),
        (&["show-address", "@e"], &secret),
        (&["show-address", "@a"], &[]),
    ] {
        assert_eq!(desk.address(args, environment), expected, "{args:?}");
    }
    let plain = format!("{}\n", hex::encode(raw));
    for name in ["a", "b", "c", "d"] {
        assert_eq!(std::fs::read_to_string(desk.path(name)).unwrap(), plain);
    }
    for name in ["keystore", "e"] {
        let file: serde_json::Value =
            serde_json::from_slice(&std::fs::read(desk.path(name)).unwrap()).unwrap();
        assert_eq!(file.pointer("/version"), Some(&serde_json::json!(3)));
    }
    for name in ["a", "b", "c", "d", "e", "keystore"] {
        assert_eq!(mode(&desk.path(name)), 0o600, "{name}");
    }
}

#[test]
fn what_cannot_be_opened_or_asked_is_refused_and_nothing_is_written() {
    let desk = Desk::new();
    desk.file("raw", [0x11; 32]);
    desk.file("shared", [0x11; 32]);
    std::fs::set_permissions(desk.path("shared"), Permissions::from_mode(0o640)).unwrap();
    desk.file("passphrase", "another");
    desk.file("open", PASSPHRASE);
    std::fs::set_permissions(desk.path("open"), Permissions::from_mode(0o644)).unwrap();
    let secret = [(VARIABLE, PASSPHRASE)];
    desk.address(&["import", "@raw", "--out", "@keystore", "--encrypt"], &secret);
    for (args, environment, why, code) in [
        (
            ["show-address"].as_slice(),
            [].as_slice(),
            "cannot read the key",
            FAILED,
        ),
        (&["show-address", "@shared"], &[], "(mode 640)", FAILED),
        (&["import", "@shared", "--out", "@new"], &[], "(mode 640)", FAILED),
        (&["show-address", "@passphrase"], &[], "holds no key", FAILED),
        (
            &["show-address", "@keystore"],
            &[],
            "is encrypted, and no passphrase was given",
            FAILED,
        ),
        (
            &["show-address", "@keystore"],
            &[(VARIABLE, "")],
            "no passphrase was given",
            FAILED,
        ),
        (
            &["show-address", "@keystore"],
            &[(VARIABLE, "another")],
            "the passphrase is wrong",
            FAILED,
        ),
        (
            &[
                "import",
                "@keystore",
                "--out",
                "@new",
                "--passphrase-file",
                "@passphrase",
            ],
            &secret,
            "the passphrase is wrong",
            FAILED,
        ),
        (
            &["new", "--out", "@new", "--encrypt"],
            &[],
            "there is no passphrase",
            FAILED,
        ),
        (
            &["new", "--out", "@new", "--encrypt", "--passphrase-file", "@open"],
            &secret,
            "the passphrase",
            FAILED,
        ),
        (
            &["new", "--out", "@new", "--passphrase-file", "@passphrase"],
            &[],
            "--encrypt",
            USAGE,
        ),
        (
            &["new", "--passphrase", "secret"],
            &[],
            "unexpected argument",
            USAGE,
        ),
        (&["import"], &[], "<FILE>", USAGE),
        (&["burn"], &[], "unrecognized subcommand", USAGE),
    ] {
        let text = desk.refused(args, environment, code);
        assert!(text.contains(why), "{args:?}: {text}");
        assert!(!text.contains(PASSPHRASE) && !text.contains("another"), "{text}");
    }
    assert!(!desk.path("new").exists());
    assert!(!desk.path("data").exists());
}

#[test]
fn no_key_is_made_in_place_of_a_configured_one_nor_put_beside_the_ledger_of_another() {
    let desk = Desk::new();
    let data = desk.path("data");
    let missing = desk.path("missing.key");
    let at = [("BOURSE__CHAIN__KEY", missing.to_str().unwrap())];
    let output = run_with(&data, &["serve", "--demo", "--sales", "1"], &at);
    assert_eq!(output.status.code(), Some(FAILED), "{}", said(&output));
    assert!(
        said(&output).contains("missing.key, and there is no such file"),
        "{}",
        said(&output)
    );
    assert!(!missing.exists() && !data.join("marketmaker.key").exists() && !data.join("data.mdb").exists());

    // Without the setting it starts as ever, and its ledger is its key's.
    serve(&data, &[]);
    let address = desk.address(&["show-address"], &[]);
    std::fs::rename(data.join("marketmaker.key"), desk.path("kept")).unwrap();
    desk.file("other", [0x11; 32]);
    for args in [["new"].as_slice(), &["import", "@other"]] {
        let text = desk.refused(args, &[], FAILED);
        assert!(
            text.contains("belongs to market maker") && text.contains(&address),
            "{text}"
        );
    }
    assert_eq!(desk.address(&["import", "@kept"], &[]), address);
    // Under a key that is not its own it does not start.
    let other = desk.path("other");
    let at = [("BOURSE__CHAIN__KEY", other.to_str().unwrap())];
    let output = run_with(&data, &["serve", "--demo", "--sales", "1"], &at);
    assert_eq!(output.status.code(), Some(FAILED), "{}", said(&output));
}

#[test]
fn a_first_start_with_a_passphrase_makes_an_encrypted_key() {
    let desk = Desk::new();
    let data = desk.path("data");
    let secret = [(VARIABLE, PASSPHRASE)];
    serve(&data, &secret);
    let key = data.join("marketmaker.key");
    assert_eq!(mode(&key), 0o600);
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(&key).unwrap()).unwrap();
    assert_eq!(file.pointer("/version"), Some(&serde_json::json!(3)));
    let address = desk.address(&["show-address"], &secret);
    // The second start opens it, and one without the passphrase neither opens it nor makes another.
    serve(&data, &secret);
    let output = run_with(&data, &["serve", "--demo", "--sales", "1"], &[]);
    assert_eq!(output.status.code(), Some(FAILED), "{}", said(&output));
    assert!(
        said(&output).contains("is encrypted, and no passphrase was given"),
        "{}",
        said(&output)
    );
    assert_eq!(desk.address(&["show-address"], &secret), address);
}

/// A market that trades with itself until a few sales are made, on ports of its own.
fn serve(data: &Path, environment: &[(&str, &str)]) -> String {
    let args = [
        "serve",
        "--demo",
        "--sales",
        "3",
        "--listen-ws",
        "127.0.0.1:0",
        "--listen-rs",
        "127.0.0.1:0",
        "--listen-http",
        "127.0.0.1:0",
    ];
    let output = run_with(data, &args, environment);
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

/// Whether `bytes` holds a key, or half of one, in any form that code prints bytes in.
fn holds(bytes: &[u8], key: &[u8; 32]) -> bool {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    let decimal = |part: &[u8]| {
        let numbers: Vec<String> = part.iter().map(u8::to_string).collect();
        [numbers.join(", "), numbers.join(",")]
    };
    key.chunks(16).any(|half| {
        bytes.windows(half.len()).any(|window| window == half)
            || text.contains(&hex::encode(half))
            || decimal(half).iter().any(|numbers| text.contains(numbers))
            || text.contains(&half.escape_ascii().to_string().to_lowercase())
    })
}

#[test]
fn the_test_for_keys_finds_them_in_every_form() {
    let key: [u8; 32] = std::array::from_fn(|index| 200 + u8::try_from(index).unwrap());
    for text in [
        format!("{key:?}"),
        hex::encode_upper(key),
        format!("0x{}", hex::encode(&key[16..])),
        serde_json::to_string(&key[..16]).unwrap(),
        format!("\"{}\"", key.escape_ascii()),
    ] {
        assert!(holds(text.as_bytes(), &key), "{text}");
    }
    assert!(holds(&[b"before".as_slice(), &key, b"after"].concat(), &key));
    assert!(!holds(&key[..15], &key));
}

#[test]
fn neither_key_nor_passphrase_is_in_anything_that_a_market_writes_while_it_logs_all_it_can() {
    let key: [u8; 32] = std::array::from_fn(|index| 0xa1 ^ u8::try_from(index * 7).unwrap());
    let address = checksum(Signer::from_bytes(&key).unwrap().address());
    for form in ["raw", "hex", "keystore"] {
        let desk = Desk::new();
        let data = desk.path("data");
        let trace = [("RUST_LOG", TRACE), (VARIABLE, PASSPHRASE)];
        desk.file("raw", key);
        desk.file("hex", hex::encode(key));
        let mut heard = Vec::new();
        let output = desk.keys(&["import", "@raw", "--out", "@keystore", "--encrypt"], &trace);
        heard.push(said(&output));
        let at = desk.path(form);
        let market = [trace[0], trace[1], ("BOURSE__CHAIN__KEY", at.to_str().unwrap())];
        heard.push(serve(&data, &market));
        assert!(
            heard[1].contains("the ledger carries a command out") && heard[1].contains(&address),
            "it logs nothing"
        );
        for args in [
            ["config", "check"].as_slice(),
            &["keys", "show-address"],
            &["ledger", "export"],
        ] {
            let output = run_with(&data, args, &market);
            assert!(output.status.success(), "{}", said(&output));
            heard.push(said(&output));
        }
        for (wrong, why) in [("wrong", form == "keystore"), (PASSPHRASE, false)] {
            let output = run_with(
                &data,
                &["keys", "show-address"],
                &[market[0], market[2], (VARIABLE, wrong)],
            );
            assert_eq!(output.status.success(), !why);
            heard.push(said(&output));
        }
        for text in &heard {
            assert!(
                !holds(text.as_bytes(), &key),
                "the key is in what it said: {form}"
            );
            assert!(
                !text.contains(PASSPHRASE),
                "the passphrase is in what it said: {form}"
            );
        }
        // Whatever it wrote to disk, the key is in none of it.
        let mut folders = vec![data];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let bytes = std::fs::read(&path).unwrap();
                assert!(!holds(&bytes, &key), "the key is in {}", path.display());
            }
        }
    }
}
