//! The addresses of a Station. No IO.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use crate::{
    k8s::meta::{Component, Owner, names},
    station::{icecast::render, readers},
};

/// Port sources connect to.
pub const SOURCE_PORT: u16 = 8005;

/// A Service in front of the Icecast pods of a component.
pub fn icecast(owner: &Owner, name: String, component: Component) -> Service {
    build(owner, name, component, ("http", render::PORT))
}

/// Where sources connect.
pub fn sources(owner: &Owner) -> Service {
    build(
        owner,
        names::ingest(&owner.name),
        Component::Ingest,
        ("source", SOURCE_PORT),
    )
}

/// A name for each ingest pod, whether it is ready or not: a tape can be read before sources are let in.
pub fn tape(owner: &Owner) -> Service {
    let mut service = build(
        owner,
        names::tape(&owner.name),
        Component::Ingest,
        ("tape", readers::PORT),
    );
    let spec = service.spec.get_or_insert_default();
    spec.cluster_ip = Some("None".to_owned());
    spec.publish_not_ready_addresses = Some(true);
    service
}

fn build(owner: &Owner, name: String, component: Component, (port, number): (&str, u16)) -> Service {
    Service {
        metadata: owner.child(name, component),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(owner.selector_labels(component)),
            ports: Some(vec![ServicePort {
                name: Some(port.to_owned()),
                port: i32::from(number),
                target_port: Some(IntOrString::String(port.to_owned())),
                protocol: Some("TCP".to_owned()),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}
