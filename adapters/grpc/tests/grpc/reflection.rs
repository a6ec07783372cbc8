//! What is served is what reflection says, in both its versions.

use crate::support::Running;
use core::time::Duration;
use futures::stream;
use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use std::collections::BTreeSet;
use tonic::codec::CompressionEncoding::Gzip;

const SERVICES: [&str; 8] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "portolan.v1.Commands",
    "portolan.v1.EventStore",
    "portolan.v1.Projections",
    "portolan.v1.Queries",
    "portolan.v1.Sagas",
    "grpc.reflection.v1alpha.ServerReflection",
];

macro_rules! reflects {
    ($test:ident, $version:ident, $own:literal) => {
        #[tokio::test]
        async fn $test() {
            use tonic_reflection::pb::$version::ServerReflectionRequest;
            use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
            use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
            use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;

            let server = Running::start().await;
            // Compressed, as some clients send everything.
            let mut client = ServerReflectionClient::new(server.channel().await).send_compressed(Gzip);
            let mut ask = async |message_request| {
                let request = ServerReflectionRequest { host: String::new(), message_request: Some(message_request) };
                let mut answers = client.server_reflection_info(stream::iter([request])).await.unwrap().into_inner();
                answers.message().await.unwrap().unwrap().message_response.unwrap()
            };
            let MessageResponse::ListServicesResponse(listed) = ask(MessageRequest::ListServices(String::new())).await
            else {
                panic!("no list")
            };
            let listed: BTreeSet<_> = listed.service.into_iter().map(|service| service.name).collect();
            let expected = SERVICES.iter().filter(|name| !name.contains("reflection") || **name == $own);
            assert_eq!(listed, expected.map(ToString::to_string).collect());
            // Every message of a detail can be looked up, ours and Google's.
            for symbol in
                ["portolan.v1.AppendError", "portolan.v1.Commands", "google.rpc.ErrorInfo", "google.rpc.BadRequest"]
            {
                let answer = ask(MessageRequest::FileContainingSymbol(symbol.to_owned())).await;
                let MessageResponse::FileDescriptorResponse(found) = answer else { panic!("{symbol}: {answer:?}") };
                let file = FileDescriptorProto::decode(&*found.file_descriptor_proto[0]).unwrap();
                assert!(symbol.starts_with(file.package()), "{symbol} in {}", file.name());
            }
        }
    };
}

reflects!(version_1, v1, "grpc.reflection.v1.ServerReflection");
reflects!(version_1_alpha, v1alpha, "grpc.reflection.v1alpha.ServerReflection");

#[tokio::test]
async fn it_lasts_for_as_long_as_its_client_likes() {
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::{ServerReflectionRequest, server_reflection_request::MessageRequest};

    let server = Running::configured(|config| config.request_timeout = Duration::from_millis(100)).await;
    let mut client = ServerReflectionClient::new(server.channel().await);
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let requests = stream::unfold(0, move |n| {
        let request = request.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            (n < 2).then_some((request, n + 1))
        }
    });
    let mut answers = client.server_reflection_info(requests).await.unwrap().into_inner();
    for _ in 0..2 {
        assert!(answers.message().await.unwrap().is_some());
    }
}

#[tokio::test]
async fn every_method_that_is_told_of_is_served() {
    let server = Running::start().await;
    let told = FileDescriptorSet::decode(portolan_grpc::proto::FILE_DESCRIPTOR_SET).unwrap();
    let mut methods = 0;
    for file in told.file.iter().filter(|file| file.package() == "portolan.v1") {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/portolan.v1.{}/{}", service.name(), method.name());
                let status = crate::limits::status_of(&server, &path).await;
                assert_ne!(status.code(), tonic::Code::Unimplemented, "{path}");
                methods += 1;
            }
        }
    }
    assert_eq!(methods, 23);
}

#[test]
fn everything_that_is_told_of_is_explained() {
    let told = FileDescriptorSet::decode(portolan_grpc::proto::FILE_DESCRIPTOR_SET).unwrap();
    for file in told.file.iter().filter(|file| file.package() == "portolan.v1") {
        let info = file.source_code_info.as_ref().unwrap();
        // Messages, enums and services, and what is in them; a path is of numbers of fields and places in lists.
        let explained: BTreeSet<_> =
            info.location.iter().filter(|at| at.leading_comments.is_some()).map(|at| at.path.clone()).collect();
        let mut wanted = Vec::new();
        for (n, message) in file.message_type.iter().enumerate() {
            of_message(&[4, index(n)], message, &mut wanted);
        }
        for (n, choice) in file.enum_type.iter().enumerate() {
            of_enum(&[5, index(n)], choice, &mut wanted);
        }
        for (n, service) in file.service.iter().enumerate() {
            wanted.push((vec![6, index(n)], service.name().to_owned()));
            for (m, method) in service.method.iter().enumerate() {
                wanted.push((vec![6, index(n), 2, index(m)], method.name().to_owned()));
            }
        }
        for (path, name) in wanted {
            assert!(explained.contains(&path), "{name} in {} has no comment", file.name());
        }
    }
}

fn index(n: usize) -> i32 {
    i32::try_from(n).unwrap()
}

fn of_message(path: &[i32], message: &prost_types::DescriptorProto, wanted: &mut Vec<(Vec<i32>, String)>) {
    wanted.push((path.to_vec(), message.name().to_owned()));
    for (n, field) in message.field.iter().enumerate() {
        wanted.push(([path, &[2, index(n)]].concat(), format!("{}.{}", message.name(), field.name())));
    }
    for (n, inner) in message.nested_type.iter().enumerate() {
        of_message(&[path, &[3, index(n)]].concat(), inner, wanted);
    }
    for (n, choice) in message.enum_type.iter().enumerate() {
        of_enum(&[path, &[4, index(n)]].concat(), choice, wanted);
    }
}

fn of_enum(path: &[i32], choice: &prost_types::EnumDescriptorProto, wanted: &mut Vec<(Vec<i32>, String)>) {
    wanted.push((path.to_vec(), choice.name().to_owned()));
    for (n, value) in choice.value.iter().enumerate() {
        wanted.push(([path, &[2, index(n)]].concat(), value.name().to_owned()));
    }
}
