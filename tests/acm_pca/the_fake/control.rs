//! Commands over the control port, as a demonstration gives them.

use std::process::Command;

use serde_json::{Value, json};

use super::Bench;
use crate::sdk;
use crate::support::tools;

/// What the fake says to a command, and whether it obeyed.
fn tell(control: &str, command: &Value) -> (bool, Value) {
    let output = Command::new(tools::system("curl"))
        .args(["--silent", "--noproxy", "*", "--write-out", "\n%{http_code}", "--data"])
        .args([&command.to_string(), control])
        .output()
        .expect("curl starts");
    let answer = String::from_utf8(output.stdout).unwrap();
    let (body, status) = answer.rsplit_once('\n').unwrap();
    (status == "200", serde_json::from_str(body).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_does_what_the_method_does() {
    let mut bench = Bench::new();
    let control = bench.fake.control().unwrap();
    let obeyed = |command: Value| {
        let (obeyed, answer) = tell(&control, &command);
        assert!(obeyed, "{command}: {answer}");
        answer
    };
    obeyed(json!({ "misbehave": {
        "operation": "IssueCertificate",
        "authority": bench.authority,
        "times": { "next": 1 },
        "fault": { "error": { "status": 400, "code": "ThrottlingException", "message": "slow" } },
    } }));
    assert_eq!(sdk::code(bench.issue().send().await), "ThrottlingException");
    let arn = bench.issued(bench.issue()).await;
    assert_eq!(obeyed(json!("issued"))[0]["arn"], *arn);
    assert_eq!(obeyed(json!("calls"))[0]["outcome"], "ThrottlingException");

    let made = obeyed(json!({ "create": { "name": "ca_2", "parent": bench.authority } }));
    assert_eq!(obeyed(json!("authorities"))["ca_2"], made["arn"]);
    obeyed(json!({ "rotate": { "authority": made["arn"], "rotation": "anotherKey" } }));
    obeyed(json!({ "setStatus": { "authority": bench.authority, "status": "DISABLED" } }));
    assert_eq!(sdk::code(bench.issue().send().await), "InvalidStateException");

    obeyed(json!("stop"));
    assert!(bench.issue().send().await.unwrap_err().as_service_error().is_none());
    obeyed(json!("restart"));
    assert_eq!(sdk::code(bench.issue().send().await), "InvalidStateException");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_makes_no_sense_is_refused() {
    let mut bench = Bench::new();
    let control = bench.fake.control().unwrap();
    let lie = json!({ "operation": "IssueCertificate", "times": "forever", "fault": { "lie": "garbage" } });
    let senseless = [
        json!("sing"),
        json!({ "misbehave": lie }),
        json!({ "create": { "name": "a", "colour": "red" } }),
        json!({ "create": { "name": "a", "parent": "nobody" } }),
        json!({ "setStatus": { "authority": "nobody", "status": "ACTIVE" } }),
    ];
    for command in senseless {
        let (obeyed, answer) = tell(&control, &command);
        assert!(!obeyed && answer["error"].is_string(), "{command}: {answer}");
    }
    bench.issued(bench.issue()).await;
}
