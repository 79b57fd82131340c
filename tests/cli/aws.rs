//! AWS in a few lines: answers AWS Private CA's calls from a list, and hands out credentials as each
//! of AWS's own places for them does. Which credentials a call was signed with is what it records.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// A CA's request, as it arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The operation.
    pub operation: String,
    /// The access key that it was signed with.
    pub access_key: String,
    /// What it says.
    pub body: Value,
}

/// How it answers a call: by the operation.
type Answers = Box<dyn Fn(&str) -> (u16, Value) + Send>;

/// The service, for as long as the test runs.
pub struct Aws {
    pub endpoint: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Aws {
    /// One whose CA is active and does what it is asked.
    pub fn new() -> Self {
        Self::answering(|operation| match operation {
            "DescribeCertificateAuthority" => (200, active()),
            _ => (200, json!({})),
        })
    }

    pub fn answering(answers: impl Fn(&str) -> (u16, Value) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (seen, answers) = (asked.clone(), Arc::new(Mutex::new(Box::new(answers) as Answers)));
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answers) = (seen.clone(), answers.clone());
                std::thread::spawn(move || serve(stream, &seen, &answers));
            }
        });
        Self { endpoint, asked }
    }

    /// What the CAs were asked.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// An active CA, as AWS describes it.
pub fn active() -> Value {
    json!({ "CertificateAuthority": {
        "Type": "SUBORDINATE",
        "Status": "ACTIVE",
        "UsageMode": "SHORT_LIVED_CERTIFICATE",
        "NotAfter": 1_795_262_400,
        "CertificateAuthorityConfiguration":
            { "KeyAlgorithm": "EC_prime256v1", "SigningAlgorithm": "SHA256WITHECDSA", "Subject": {} },
    } })
}

/// Answers the requests of one connection, until it closes.
fn serve(stream: TcpStream, asked: &Mutex<Vec<Asked>>, answers: &Mutex<Answers>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let path = line.split(' ').nth(1)?.to_owned();
        let (mut length, mut target, mut authorization) = (0, String::new(), String::new());
        loop {
            line.clear();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().ok()?,
                "x-amz-target" => value.rsplit('.').next()?.clone_into(&mut target),
                "authorization" => value.clone_into(&mut authorization),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let (status, answer) = if target.is_empty() {
            credentials(&path, &String::from_utf8_lossy(&body))
        } else {
            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
            let access_key =
                authorization.split("Credential=").nth(1)?.split('/').next()?.to_owned();
            let (status, answer) = answers.lock().unwrap()(&target);
            asked.lock().unwrap().push(Asked { operation: target, access_key, body });
            (status, answer.to_string())
        };
        let length = answer.len();
        let head = format!("HTTP/1.1 {status} Told\r\ncontent-length: {length}\r\n");
        let token = "x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n";
        writer.write_all(format!("{head}{token}\r\n{answer}").as_bytes()).ok()?;
    }
}

/// What the places that hand out credentials answer. The access key says which one it was.
fn credentials(path: &str, body: &str) -> (u16, String) {
    let expires = "2099-01-01T00:00:00Z";
    let answer = match path {
        "/container" => json!({
            "AccessKeyId": "CONTAINER", "SecretAccessKey": "secret", "Token": "token",
            "Expiration": expires,
        })
        .to_string(),
        "/latest/api/token" => "token".to_owned(),
        path if path.trim_end_matches('/').ends_with("/security-credentials") => "role".to_owned(),
        path if path.trim_end_matches('/').ends_with("/security-credentials-extended") => {
            return (404, String::new());
        }
        path if path.ends_with("/role") => json!({
            "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "INSTANCE",
            "SecretAccessKey": "secret", "Token": "token", "Expiration": expires,
            "LastUpdated": "2026-01-01T00:00:00Z",
        })
        .to_string(),
        path if path.starts_with("/federation/credentials") => json!({ "roleCredentials": {
            "accessKeyId": "SSO", "secretAccessKey": "secret", "sessionToken": "token",
            "expiration": 4_070_908_800_000_i64,
        } })
        .to_string(),
        _ if body.contains("Action=AssumeRoleWithWebIdentity")
            && body.contains("jwt-of-the-pod") =>
        {
            format!(
                "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>WEBIDENTITY</AccessKeyId>\
             <SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>\
             <Expiration>{expires}</Expiration></Credentials>\
             </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
            )
        }
        _ => return (404, String::new()),
    };
    (200, answer)
}
