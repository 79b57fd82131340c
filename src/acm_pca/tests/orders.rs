//! What is asked for, template by template, and what survives of it.

use super::super::testing::NOW;
use super::*;
use crate::desired::acm_pca::LeafTemplate;
use crate::identity::NodeName;
use crate::time::later;
use crate::x509::request::Request;

fn asked(template: LeafTemplate, algorithm: KeyAlgorithm) -> IssueRequest {
    let fake = Fake::with("us-east-2", |ca| ca.template = template);
    let (profile, key) = (profile("front"), PrivateKey::generate(algorithm).unwrap());
    LeafOrder { profile: &profile, key: &key }.request(&fake.known(), NOW).unwrap()
}

#[test]
fn each_template_gets_the_names_where_it_takes_them_from() {
    for template in LeafTemplate::ALL {
        let request = asked(template, KeyAlgorithm::EcP256);
        assert_eq!(request.template, template.as_str());
        assert_eq!(request.validity.not_after, later(NOW, seconds(3_600)));
        let read = Request::parse(&request.request).unwrap();
        assert_eq!(read.set_aside(), [""; 0], "{template:?}");
        read.check_against(&profile("front"), &NodeName::parse("front").unwrap()).unwrap();
        let stranger = read.check_against(&profile("other"), &NodeName::parse("other").unwrap());
        assert!(stranger.is_err(), "{template:?}: the subject at least is there");
        let has_uri = format!("{read:?}").contains("spiffe://example.org/front");
        assert!(has_uri, "AWS takes no request without a name ({template:?})");
        match (template, request.passthrough) {
            (LeafTemplate::EndEntity, None) => {}
            (LeafTemplate::ApiPassthrough | LeafTemplate::BlankApiPassthrough, Some(names)) => {
                assert_eq!(names.common_name.as_deref(), Some("front.example.org"));
                assert_eq!(names.uris, ["spiffe://example.org/front"]);
                assert_eq!(names.dns_names, ["front.example.org"]);
                let is_blank = template == LeafTemplate::BlankApiPassthrough;
                assert_eq!(names.usages, is_blank.then_some(Usages { key_encipherment: false }));
            }
            other => panic!("{other:?}"),
        }
    }
    let rsa = asked(LeafTemplate::BlankApiPassthrough, KeyAlgorithm::Rsa2048);
    let usages = rsa.passthrough.unwrap().usages;
    assert_eq!(usages, Some(Usages { key_encipherment: true }));
}

#[test]
fn a_submission_is_read_back_to_the_byte() {
    for template in LeafTemplate::ALL {
        for (is_repeated, certificate) in [(false, None), (true, Some("arn:aws:acm-pca:…/1"))] {
            let submission = Submission {
                ca: Fake::new("us-east-2").ca.arn.clone(),
                request: asked(template, KeyAlgorithm::EcP384),
                first_sent: NOW,
                is_repeated,
                made: certificate.map(|certificate| MadeAt {
                    certificate: certificate.to_owned(),
                    at: later(NOW, seconds(3)),
                }),
            };
            let text = submission.to_json().to_string();
            let read = Submission::from_json(serde_json::from_str(&text).unwrap()).unwrap();
            assert_eq!(read, submission);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_for_beyond_the_end_of_the_ca() {
    let fake = Fake::new("us-east-2");
    let ends = fake.known().chain.ends();
    let late = ends - time::Duration::minutes(10);
    let (profile, key) = (profile("front"), PrivateKey::generate(KeyAlgorithm::EcP256).unwrap());
    let order = LeafOrder { profile: &profile, key: &key };
    assert_eq!(order.request(&fake.known(), late).unwrap().validity.not_after, ends);
    let error = order.request(&fake.known(), ends + time::Duration::SECOND).unwrap_err();
    assert!(error.to_string().contains("replace that authority"), "{error}");

    // An authority that counts from later is cut at its own end.
    let (clock, _) = crate::time::Clock::simulated(late);
    let (pool, authority) = super::super::testing::pool_at(&[&fake], clock);
    let (ledger, urgency) = (Memory::default(), Urgency::default());
    let signed = pool.sign(&authority, &order, None, &urgency, &ledger).await.unwrap();
    assert_eq!(signed.signed.leaf().validity().not_after, ends);
    fake.is_off_by(seconds(1));
    let refused = pool.sign(&authority, &order, None, &urgency, &Memory::default()).await;
    assert!(refused.unwrap_err().to_string().contains("it is valid from"));
}
