//! What steers a run beside its prompt.

use super::{Pass, Run};
use crate::error::Result;
use crate::pipeline::canvas::Canvas;
use crate::pipeline::control::{Control, counting};
use crate::pipeline::engine::Network;
use crate::pipeline::graphs::Shape;
use crate::pipeline::layout::nchw_to_nhwc;
use crate::pipeline::windows::Places;
use crate::plan::{Outside, padded};

impl<'a> Run<'a> {
    /// Each map as the hint that its network reads at every step; where the denoiser sees windows, each has its own of its part of
    /// the map, which is kept for that.
    pub(super) async fn read_maps(&mut self) -> Result<()> {
        self.maps.clear();
        let (width, height) = (self.pass.request.width, self.pass.request.height);
        for (slot, control) in self.controls().into_iter().enumerate() {
            let part = self.pass.canvas.and_then(|canvas| Canvas::part(canvas, &control.image));
            let mask = self.pass.canvas.and_then(Canvas::white);
            let map = control.map([width, height], part, mask);
            let pixels = nchw_to_nhwc(&map, 1, 3, width * height, padded(3));
            self.keep(&format!("control.{slot}"), &[1, 3, height, width], map);
            if self.shape.windows.is_some() {
                self.maps.push(pixels);
                continue;
            }
            self.engine.enter(Network::Hint(slot), self.cancel).await?;
            self.engine.write(Outside::ControlMap(slot), &pixels)?;
            self.engine.run(Network::Hint(slot), self.cancel).await?;
        }
        Ok(())
    }

    /// By how much what the control networks give counts in step `i`; those of them that count in it at all.
    pub(super) fn steer(&mut self, i: usize) -> Result<Vec<usize>> {
        let Shape { copies, batch, .. } = self.shape;
        let (i, steps) = self.pass.counted(i);
        let (mut strengths, mut steering) = (Vec::new(), Vec::new());
        for (slot, control) in self.controls().into_iter().enumerate() {
            let residuals = self.config.controls.get(control.model).map_or(0, |network| network.residuals());
            if control.counts(i, steps) {
                steering.push(slot);
                strengths.extend(control.factors(residuals, [copies, batch]));
            } else {
                strengths.extend(std::iter::repeat_n(0.0, residuals * copies * batch));
            }
        }
        if !strengths.is_empty() {
            self.engine.write(Outside::Strengths, &strengths)?;
        }
        Ok(steering)
    }

    /// What of its map a window shows, as the hint that a control network reads next.
    pub(super) async fn read_part(&mut self, slot: usize, pixels: &Places, at: [usize; 2]) -> Result<()> {
        let part = pixels.seen(&self.maps[slot], padded(3), at);
        self.engine.write(Outside::ControlMap(slot), &part)?;
        self.engine.run(Network::Hint(slot), self.cancel).await
    }

    /// What counts in any step of the pass, in the order of the shape's.
    fn controls(&self) -> Vec<&'a Control> {
        let Pass { request, taken, .. } = self.pass;
        counting(&request.controls, request.entered(), taken.count()).collect()
    }
}
