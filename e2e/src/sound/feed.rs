//! Plays a script into an encoder at the pace of real time (or N x) and logs each flip as it is handed over.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;
use tokio::sync::{mpsc, oneshot};

use super::encode::{Encoded, Encoding};
use super::signal::{Oscillator, Script};
use super::tone::{RATE, Tone};

/// Audio handed over at a time.
const BLOCK: Duration = Duration::from_millis(20);
const BLOCK_SAMPLES: usize = RATE as usize / 50;

/// A change of tone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flip {
    /// When its first samples were handed to the encoder.
    pub at: Instant,
    /// What began.
    pub tone: Tone,
}

/// What a test may tell a running feed. The sender of the answer hears when it is done.
pub enum Order {
    Play(Tone, oneshot::Sender<Instant>),
    /// Ends the encoder and starts another: a new Ogg chain link.
    NewLink(oneshot::Sender<()>),
    Stall(oneshot::Sender<()>),
    Resume(oneshot::Sender<()>),
    Finish,
}

pub struct Feed {
    pub encoding: Encoding,
    pub script: Script,
    /// Of real time; `None` is as fast as the server takes it.
    pub speed: Option<f64>,
    pub orders: mpsc::Receiver<Order>,
    /// Each encoder's output, in turn; its end is the end of the body.
    pub encoders: mpsc::Sender<Encoded>,
    pub on_flip: Box<dyn Fn(Flip) + Send + Sync>,
}

/// Where the script is.
struct Position {
    step: usize,
    blocks_left: Option<u32>,
    told: Option<oneshot::Sender<Instant>>,
}

impl Feed {
    /// Ends when the script does, when it is told to, or when nobody wants the audio any more.
    pub async fn run(mut self) -> Result<()> {
        let mut encoder = self.start_encoder().await?;
        let mut oscillator = Oscillator::default();
        let mut position = Position {
            step: 0,
            blocks_left: self.blocks(0),
            told: None,
        };
        let mut last: Option<Tone> = None;
        let mut due = tokio::time::Instant::now();
        loop {
            while let Ok(order) = self.orders.try_recv() {
                match order {
                    Order::Play(tone, told) => {
                        self.script = Script::steady(tone);
                        position = Position {
                            step: 0,
                            blocks_left: None,
                            told: Some(told),
                        };
                    }
                    Order::NewLink(told) => {
                        drop(encoder);
                        encoder = self.start_encoder().await?;
                        // A test that went away needs no answer.
                        let _ = told.send(());
                    }
                    Order::Stall(told) => {
                        let _ = told.send(());
                        if self.stalled().await {
                            return Ok(());
                        }
                    }
                    Order::Resume(told) => {
                        let _ = told.send(());
                    }
                    Order::Finish => return Ok(()),
                }
            }
            let Some(tone) = self.next_tone(&mut position) else {
                return Ok(());
            };
            let pcm = oscillator.pcm(tone, BLOCK_SAMPLES);
            encoder.write_all(&pcm).await?;
            encoder.flush().await?;
            let at = Instant::now();
            if last.replace(tone) != Some(tone) {
                (self.on_flip)(Flip { at, tone });
            }
            if let Some(told) = position.told.take() {
                let _ = told.send(at);
            }
            if let Some(speed) = self.speed {
                due += BLOCK.div_f64(speed);
                tokio::time::sleep_until(due).await;
            }
        }
    }

    async fn start_encoder(&self) -> Result<ChildStdin> {
        let (stdin, encoded) = self.encoding.start()?;
        // A pump that is gone ended the connection; the next write to the encoder will tell.
        drop(self.encoders.send(encoded).await);
        Ok(stdin)
    }

    /// What came due meanwhile is played at once afterwards, as from a DJ whose network returns.
    /// True if it is to finish instead.
    async fn stalled(&mut self) -> bool {
        loop {
            match self.orders.recv().await {
                Some(Order::Resume(told)) => {
                    let _ = told.send(());
                    return false;
                }
                Some(Order::Finish) | None => return true,
                // Nothing is played in a stall: its answer is dropped, which is an error to whoever asked.
                Some(_) => {}
            }
        }
    }

    fn blocks(&self, step: usize) -> Option<u32> {
        let length = self.script.steps.get(step)?.1?;
        u32::try_from(length.as_millis() / BLOCK.as_millis()).ok()
    }

    fn next_tone(&self, position: &mut Position) -> Option<Tone> {
        while position.blocks_left == Some(0) {
            position.step += 1;
            position.blocks_left = self.blocks(position.step);
        }
        let (tone, _) = self.script.steps.get(position.step)?;
        position.blocks_left = position.blocks_left.map(|left| left - 1);
        Some(*tone)
    }
}
