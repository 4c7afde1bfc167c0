/** Firefox, stock, on the processor: it has no WebGPU on these machines. */

import { story } from './elsewhere.mjs';
import { Firefox } from './firefox.mjs';

story('Firefox', (about) => Firefox.launch(about));
