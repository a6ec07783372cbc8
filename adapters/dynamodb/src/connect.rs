//! A client of one's own making: as the environment configures it, or for an emulator.

use crate::OpenError;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};

pub(crate) async fn client(table: &str, endpoint: Option<String>) -> Result<Client, OpenError> {
    match endpoint {
        Some(url) if url.starts_with("http://") => Ok(plain(url)),
        endpoint => configured(table, endpoint).await,
    }
}

/// A client over plain HTTP. Who listens there is no part of AWS, so nobody is asked for credentials: there are those of
/// the environment's variables, or some that any emulator takes.
fn plain(url: String) -> Client {
    let of = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let credentials = match (of("AWS_ACCESS_KEY_ID"), of("AWS_SECRET_ACCESS_KEY")) {
        (Some(id), Some(secret)) => Credentials::new(id, secret, of("AWS_SESSION_TOKEN"), None, "environment"),
        _ => Credentials::new("emulator", "emulator", None, None, "portolan"),
    };
    let region = of("AWS_REGION").or_else(|| of("AWS_DEFAULT_REGION")).unwrap_or_else(|| "us-east-1".to_string());
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .credentials_provider(credentials)
        .region(Region::new(region))
        .endpoint_url(url);
    Client::from_conf(config.build())
}

#[cfg(feature = "aws-config")]
async fn configured(_: &str, endpoint: Option<String>) -> Result<Client, OpenError> {
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    if let Some(url) = endpoint {
        loader = loader.endpoint_url(url);
    }
    Ok(Client::new(&loader.load().await))
}

#[cfg(not(feature = "aws-config"))]
async fn configured(table: &str, endpoint: Option<String>) -> Result<Client, OpenError> {
    Err(OpenError::NoConfiguration { table: table.to_string(), endpoint })
}
