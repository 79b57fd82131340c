//! The policies under deploy/iam, held to what is in use.

use std::collections::BTreeSet;

use super::*;

const LEAVES: &str = include_str!("../../../../deploy/iam/acm-pca.json");
const INTERMEDIATE: &str = include_str!("../../../../deploy/iam/acm-pca-intermediate.json");
const REVOKE: &str = include_str!("../../../../deploy/iam/acm-pca-revoke.json");

/// What a value holds, whether it is one text or a list of them, as IAM has it.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(all) => all.iter().map(|one| one.as_str().unwrap()).collect(),
        one => vec![one.as_str().unwrap()],
    }
}

fn statements(policy: &str) -> Vec<Value> {
    let policy: Value = serde_json::from_str(policy).unwrap();
    policy["Statement"].as_array().unwrap().clone()
}

fn actions(policy: &str) -> BTreeSet<String> {
    let statements = statements(policy);
    let names = statements.iter().flat_map(|statement| texts(&statement["Action"]));
    names.map(|name| name.strip_prefix("acm-pca:").unwrap().to_owned()).collect()
}

/// The templates that IssueCertificate is allowed with.
fn templates(policy: &str) -> BTreeSet<String> {
    let condition = |statement: &Value| {
        texts(&statement["Action"]).contains(&"acm-pca:IssueCertificate").then(|| {
            let condition = statement["Condition"].as_object().unwrap();
            assert_eq!(condition.keys().collect::<Vec<_>>(), ["StringEquals"]);
            texts(&condition["StringEquals"]["acm-pca:TemplateArn"])
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
    };
    statements(policy).iter().filter_map(condition).flatten().collect()
}

#[test]
fn the_policies_allow_what_is_in_use_and_nothing_else() {
    let all: BTreeSet<_> = [LEAVES, INTERMEDIATE, REVOKE].into_iter().flat_map(actions).collect();
    assert_eq!(all, OPERATIONS.map(str::to_owned).into());
    assert_eq!(actions(REVOKE), ["RevokeCertificate".to_owned()].into());
    assert_eq!(actions(INTERMEDIATE), ["IssueCertificate".to_owned()].into());
    assert!(!actions(LEAVES).contains("RevokeCertificate"));
}

#[test]
fn the_policies_allow_the_templates_in_use_and_no_others() {
    let ca = CaArn::parse(ARN).unwrap();
    let leaves = LeafTemplate::ALL.map(|template| template_arn(&ca, template.as_str()));
    assert_eq!(templates(LEAVES), leaves.into());
    let intermediates: BTreeSet<_> = (0..=3)
        .map(|below| template_arn(&ca, &format!("SubordinateCACertificate_PathLen{below}/V1")))
        .collect();
    assert_eq!(templates(INTERMEDIATE), intermediates);
}

#[test]
fn the_policies_are_about_one_ca() {
    for statement in [LEAVES, INTERMEDIATE, REVOKE].into_iter().flat_map(statements) {
        let resource = "arn:aws:acm-pca:REGION:ACCOUNT:certificate-authority/CA-ID";
        assert_eq!(texts(&statement["Resource"]), [resource]);
        assert_eq!(statement["Effect"], "Allow");
    }
}
