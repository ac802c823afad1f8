//! Writes `crds/<kind>.yaml`, or prints one definition: `crdgen station`.

use std::{
    error::Error,
    fs,
    io::{self, Write},
    path::Path,
};

fn main() -> Result<(), Box<dyn Error>> {
    let wanted = std::env::args().nth(1);
    let mut found = false;
    for definition in radio_crds::definitions() {
        let name = definition
            .spec
            .names
            .singular
            .clone()
            .unwrap_or_else(|| definition.spec.names.kind.to_lowercase());
        let yaml = serde_yaml::to_string(&definition)?;
        match wanted.as_deref() {
            None => fs::write(
                Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("{name}.yaml")),
                yaml,
            )?,
            Some(kind) if kind == name => io::stdout().write_all(yaml.as_bytes())?,
            Some(_) => continue,
        }
        found = true;
    }
    if found {
        Ok(())
    } else {
        Err(format!(
            "there is no kind {}: try station, mount, show or recording",
            wanted.unwrap_or_default()
        )
        .into())
    }
}
