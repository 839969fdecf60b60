//! Case files, as authors write them and as anybody may send them.

use crate::market;
use bourse_cases::{Case, Function, Input};

/// Reads the bytes in every way that a command does, asks what they ask, compares, and shows the difference.
pub(crate) fn run(bytes: &[u8]) {
    for function in Function::ALL.map(Some).into_iter().chain([None]) {
        match Input::parse(bytes, function) {
            Ok(input) => {
                input.ask(&market::WILLING);
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    match Case::parse(bytes) {
        Ok(case) => {
            let verdict = case.expect.compare(&case.input.ask(&market::WILLING));
            let holds = verdict.lines.iter().all(|line| line.holds);
            assert_eq!(holds, verdict.holds());
            // What is read can be asked again, and says the same.
            assert_eq!(Case::parse(bytes).expect("what was read once"), case);
        }
        // Whatever it repeats of the file, it fits a screen.
        Err(error) => {
            let said = error.to_string().chars().count();
            assert!(said < 1500, "an error of {said} characters");
        }
    }
}

/// A case of each function with every field.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        r#"{"hook":"pricing","expect":{"price":"1"}}"#,
        r#"{
  "about": "everything that a question about a price may say",
  "hook": "pricing",
  "params": {"base": "2.5", "deep": [{"a": [1, 2.5, null, true]}]},
  "request": {
    "now": 1700000001000000000, "market": "0x11111111111111111111111111111111", "action": "buy",
    "buyer": "0x1212121212121212121212121212121212121212",
    "offer": {"key": "0x22222222222222222222222222222222", "api": "0x33333333333333333333333333333333",
      "catalog": "0x44444444444444444444444444444444", "uri": "com.example.a",
      "seller": "0x4545454545454545454545454545454545454545", "provider": "p", "placed_at": 1, "valid_from": 2,
      "expires": 3, "price": "0.5", "copies": 9, "remaining": 8, "categories": {"region": "m\u00fcnchen"}},
    "base": "0.5", "floor": "0", "cap": "100", "max_valid_ms": 30000
  },
  "market": [{"subject": "key", "window_ms": 60000, "sales": 5, "volume": "7.5", "quotes": 9, "last_price": "1", "last_at": 5},
    {"subject": {"api": "0x33333333333333333333333333333333"}, "sales": 18446744073709551615}],
  "state": {"values": {"a": "text", "b": {"hex": "00ff"}}, "counters": {"n": -5}},
  "grants": ["market", "state", "log"],
  "limits": {"fuel": 1000000, "deadline_ms": 50, "memory": 8388608},
  "expect": {"price": "0.000000000000000001", "valid_ms": 1000, "bounded": "none", "max_fuel": 100000,
    "state": {"values": {"a": null}, "counters": {}}, "log": ["line"]}
}"#,
        r#"{"hook":"admit","request":{"offer":{"uri":"a"}},"expect":{"code":"no","text":"because"}}"#,
        r#"{"hook":"filter","request":{"offers":[{"uri":"a"},{"uri":"b","price":"1"},{}]},"expect":{"shown":[2,0]}}"#,
        r#"{"hook":"consent","request":{"offer":null,"buyer_grants":[{"member":"0x1212121212121212121212121212121212121212",
           "delegate":"0x1313131313131313131313131313131313131313","delegate_type":2,
           "catalog":"0x44444444444444444444444444444444","api_prefix":"com.","updated":5,"granted":true,
           "attributes":{"purpose":"research"}}],"seller_grants":[]},"expect":{"outcome":"allowed"}}"#,
        r#"{"hook":"pricing","expect":{"outcome":"out_of_fuel"}}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
