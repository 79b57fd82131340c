//! What is believed of what AWS says of a CA.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_description_is_verified_and_said_of_what_does_not_answer() {
    let (good, hanging) = (Fake::new("us-east-2"), Fake::new("us-west-2"));
    hanging.always(Act::Hang);
    let (pool, _) = pool(&[&good, &hanging]);
    let began = tokio::time::Instant::now();
    let described = pool.describe_all(&[good.ca.clone(), hanging.ca.clone()]).await;
    assert!(began.elapsed() <= seconds(2), "{:?}", began.elapsed());
    let known = described[0].as_ref().unwrap();
    assert_eq!(known.chain.certificates(), good.known().chain.certificates());
    let error = described[1].as_ref().unwrap_err().to_string();
    assert!(error.contains("us-west-2") && error.contains("no answer within 2s"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_ca_is_refused_with_words() {
    for (change, words) in [
        (
            (|said| said.key_algorithm = None) as fn(&mut Description),
            "its key is EC_prime256v1, which Envoy does not verify",
        ),
        (
            |said| said.key_algorithm = Some(KeyAlgorithm::Rsa2048),
            "rsa-2048 by its description and ec-p256 by its certificate",
        ),
    ] {
        let fake = Fake::new("us-east-2");
        fake.describe_as(change);
        let (pool, _) = pool(&[&fake]);
        let error = pool.describe(&fake.ca).await.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_is_disabled_is_known_and_passed_over_until_it_is_active() {
    let (first, second) = (Fake::new("us-east-2"), Fake::new("us-west-2"));
    first.describe_as(|said| said.status = CaStatus::Other("DISABLED".to_owned()));
    let both = pool(&[&first, &second]);
    let known = both.0.describe(&first.ca).await.unwrap();
    assert_eq!(known.chain.root(), first.known().chain.root(), "its root may be trusted still");
    let signed = sign(&both, "front", &Urgency::awaited(), &Memory::default()).await.unwrap();
    assert_eq!((signed.ca, first.count(Called::Issue)), (second.ca.arn.clone(), 0));
    assert_eq!(both.0.status()[0].down.as_ref().unwrap().why, "it is DISABLED");
    first.describe_as(|said| said.status = CaStatus::Active);
    both.0.describe(&first.ca).await.unwrap();
    assert_eq!(both.0.signing_ca(&both.1).ca.arn, first.ca.arn);
}
