/** WebKitGTK, which has no WebGPU, on the processor. */

import { story } from './elsewhere.mjs';
import { WebKit, isThere } from './webkit.mjs';

story('WebKitGTK', () => WebKit.launch(), { skip: isThere() ? false : 'no webkit2gtk-driver and xvfb here' });
