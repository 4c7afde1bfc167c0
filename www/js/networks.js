/** The part of the settings that LoRAs have: it comes when it is opened, and when a prompt names one or an embedding or a file of one is brought. */

import { $ } from './dom.js';
import { Part } from './parts.js';

/** Where LoRAs and embeddings are named, and how, as `catalogue/named.js` finds them. */
const FIELDS = ['prompt', 'negativePrompt'];
const NAMES = /<[^\s<>]+>|<(?:lora|lyco):|\bembedding:/i;

export class Networks {
  /** @param {{engine: () => Promise<import('../client.js').OpenGen>, settings: import('./settings.js').Settings}} page */
  constructor(page) {
    /** @type {Part<import('../catalogue/loras.js').Loras>} */
    this.part = new Part({
      id: 'loras', what: 'What LoRAs need',
      load: () => import('../catalogue/loras.js'), address: new URL('../catalogue/loras.js', import.meta.url),
      begin: async ({ Loras }) => {
        const loras = new Loras(page);
        await loras.refresh();
        return loras;
      },
    });
    for (const event of ['input', 'put']) for (const field of FIELDS) $(field).addEventListener(event, () => this.#look());
    this.#look();
  }

  /** A file that is a LoRA. @param {File} file */
  async take(file) {
    await (await this.part.here())?.add(file);
  }

  #look() {
    if (!this.part.isComing && FIELDS.some((field) => NAMES.test($(field).value))) this.part.here();
  }
}
