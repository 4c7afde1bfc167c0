//! Low-rank products added to weights where they lie.

use bytemuck::cast_slice;

use super::Weights;
use super::executable::{pass, range};
use crate::error::Result;
use crate::kernels::{Kernel, low_rank_merge};
use crate::weights::{LowRank, Merged, PackedRecord};

impl Weights {
    /// Writes a record, given as it is stored, with networks merged into it, in its wider type where it is read in that: products
    /// of narrow matrices are added by the device, everything else by the processor.
    pub fn merge(&self, merged: &Merged, record: &PackedRecord, bytes: &[u8]) -> Result<()> {
        let name = &record.decl.name;
        let wider = record.wider().filter(|_| self.is_wider(name));
        let Some(products) = merged.low_rank(wider.as_ref().unwrap_or(record))? else {
            return match wider {
                Some(_) => self.write_record(name, &merged.merged_wider(record, bytes)?),
                None => self.write_record(name, &merged.merged(record, bytes)?),
            };
        };
        match wider {
            Some(_) => self.write_record(name, &record.widened(bytes)?)?,
            None => self.write_record(name, bytes)?,
        }
        products.iter().try_for_each(|product| self.add(name, product))
    }

    /// Adds a product to a record, after everything that was asked of the device before; not where its component is away, as
    /// [`Weights::write`].
    fn add(&self, name: &str, product: &LowRank) -> Result<()> {
        let (context, record) = (self.context(), self.record(name)?);
        let Ok(place) = self.buffer(record) else { return Ok(()) };
        let LowRank { params, left, right } = product;
        let spec = low_rank_merge::Spec { weight: record.weight_type };
        let workgroups = low_rank_merge::workgroups(&spec, params);
        let pipeline = context.pipeline(&Kernel::from(spec));
        let given = [
            (wgpu::BufferUsages::UNIFORM, params.bytes()),
            (wgpu::BufferUsages::STORAGE, cast_slice(left)),
            (wgpu::BufferUsages::STORAGE, cast_slice(right)),
        ]
        .map(|(usage, bytes)| (context.passing(bytes, usage), bytes.len() as u64));
        let bound = given.iter().map(|(buffer, bytes)| range(buffer, 0, *bytes));
        let spans = [Some(record.values), record.scales].into_iter().flatten();
        let bound = bound.chain(spans.map(|span| range(place, span.offset, span.len)));
        let entries: Vec<_> =
            (0..).zip(bound).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
        let bind_group = context.bind_group(name, &pipeline, &entries);
        let mut encoder = context.encoder();
        let mut pass = pass(&mut encoder, None);
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &bind_group, &[]);
        let [x, y, z] = workgroups;
        pass.dispatch_workgroups(x, y, z);
        drop(pass);
        context.submit(encoder);
        given.iter().for_each(|(buffer, _)| buffer.destroy());
        Ok(())
    }
}
