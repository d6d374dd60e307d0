//! States of calls that asked, brought back by the wrong hands or for the wrong call.
//! Next: `mod.rs`.

use super::*;

#[test]
fn a_state_is_worth_nothing_for_other_arguments_however_they_are_written() {
    const ASKED: &str = r#"{"elicitation":{"form":{}}}"#;
    const AGREED: &str = r#""inputResponses":{"agreed":{"action":"accept","content":{"ok":true}}}"#;
    for (first, second, is_same) in [
        (r#""arguments":{"amount":5}"#, r#""arguments":{"amount":5}"#, true),
        (r#""arguments":{"amount":5}"#, r#""arguments":{"amount":500}"#, false),
        (r#""z\u0000\"v\"\u0000arguments":{"amount":500}"#, r#""z":"v","arguments":{"amount":500}"#, false),
    ] {
        let mut desk = desk(snapshot(|_| {}));
        let asked = modern_call(&mut desk, KEY, "paying", ASKED, first).json();
        let state = asked["result"]["requestState"].as_str().unwrap_or_else(|| panic!("{asked}"));
        let params = format!(r#"{second},{AGREED},"requestState":"{state}""#);
        let answer = modern_call(&mut desk, KEY, "paying", ASKED, &params).json();
        assert_eq!(answer["error"]["data"]["reason"] == "request_state", !is_same, "{answer}");
        let stolen = modern_call(&mut desk, READER_KEY, "paying", ASKED, &params).json();
        assert_eq!(stolen["error"]["data"]["reason"], "request_state");
    }
}
