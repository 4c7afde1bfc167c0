//! What steers a run beside its prompt.

use super::Run;
use crate::error::Result;
use crate::pipeline::canvas::Canvas;
use crate::pipeline::control::{Control, counting};
use crate::pipeline::engine::Network;
use crate::pipeline::graphs::Shape;
use crate::pipeline::layout::nchw_to_nhwc;
use crate::plan::{Outside, padded};

impl<'a> Run<'a> {
    /// Each map as the hint that its network reads at every step.
    pub(super) async fn read_maps(&mut self) -> Result<()> {
        let (width, height) = (self.pass.request.width, self.pass.request.height);
        for (slot, control) in self.controls().into_iter().enumerate() {
            let part = self.pass.canvas.and_then(|canvas| Canvas::part(canvas, &control.image));
            let mask = self.pass.canvas.and_then(Canvas::white);
            let map = control.map([width, height], part, mask);
            let pixels = nchw_to_nhwc(&map, 1, 3, width * height, padded(3));
            self.keep(&format!("control.{slot}"), &[1, 3, height, width], map);
            self.engine.enter(Network::Hint(slot), self.cancel).await?;
            self.engine.write(Outside::ControlMap(slot), &pixels)?;
            self.engine.run(Network::Hint(slot), self.cancel).await?;
        }
        Ok(())
    }

    /// What the control networks add to the denoiser in step `i`; those that do not count in it are not computed.
    pub(super) async fn steer(&mut self, i: usize) -> Result<()> {
        let (Shape { copies, batch, .. }, steps) = (self.shape, self.pass.taken.count());
        let mut strengths = Vec::new();
        for (slot, control) in self.controls().into_iter().enumerate() {
            let residuals = self.config.controls.get(control.model).map_or(0, |network| network.residuals());
            if control.counts(i, steps) {
                self.engine.run(Network::Control(slot), self.cancel).await?;
                strengths.extend(control.factors(residuals, [copies, batch]));
            } else {
                strengths.extend(std::iter::repeat_n(0.0, residuals * copies * batch));
            }
        }
        if strengths.is_empty() { Ok(()) } else { self.engine.write(Outside::Strengths, &strengths) }
    }

    /// What counts in any step of the pass, in the order of the shape's.
    fn controls(&self) -> Vec<&'a Control> {
        counting(&self.pass.request.controls, self.pass.taken.count()).collect()
    }
}
