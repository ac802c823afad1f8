//! The twin of Cloudflare R2 as a process.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Parser;
use e2e::twin::{Backend, Key, Rules, Twin, control};
use tokio::net::TcpListener;

#[derive(Parser)]
#[command(about = "An S3 proxy that keeps Cloudflare R2's rules, with faults on demand")]
struct Args {
    /// Where S3 clients come.
    #[arg(long, default_value = "127.0.0.1:9001")]
    listen: SocketAddr,
    /// Where faults are asked for.
    #[arg(long, default_value = "127.0.0.1:9002")]
    control: SocketAddr,
    /// The S3 server behind, `host:port`.
    #[arg(long, default_value = "127.0.0.1:9000")]
    store: String,
    /// The access key, of the store behind and of the twin.
    #[arg(long, env = "RADIO_TWIN_ACCESS_KEY")]
    access_key: String,
    /// Keep no rules of R2, only do faults.
    #[arg(long)]
    no_rules: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("twin: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<()> {
    // Not an argument: those can be read by every process.
    let secret = std::env::var("RADIO_TWIN_SECRET_KEY")
        .context("set RADIO_TWIN_SECRET_KEY to the secret of the store behind")?;
    let mut key = Key::new(args.access_key, secret);
    key.admin = true;
    let backend = Backend::new(&args.store, key.clone())?;
    let rules = if args.no_rules { Rules::None } else { Rules::R2 };
    let twin = Twin::start(args.listen, backend, rules)?;
    twin.keys().put(key);
    println!("twin of R2: {} in front of {}", twin.endpoint(), args.store);
    let listener = TcpListener::bind(args.control)
        .await
        .with_context(|| format!("cannot listen on {}", args.control))?;
    axum::serve(listener, control(Arc::new(twin)))
        .await
        .context("the control port ended")
}
