/** What a first moment does without, set up once the page answers: main.js fetches it and hands over what it has. */

import { canShare } from './actions.js';
import { Batch } from './batch.js';
import { Extras } from './extras.js';
import { Large } from './large.js';
import { Length } from './length.js';
import { Networks } from './networks.js';
import { Origin } from './origin.js';
import { Part } from './parts.js';
import { Recall } from './recall.js';
import { StoragePanel } from './storage.js';
import { Strength } from './strength.js';
import { Understood } from './understood.js';
import { showWords } from './vocabulary.js';
import { Waiting } from './waiting.js';

/**
 * @param {object} page
 * @param {import('./session.js').Session} page.session
 * @param {import('./settings.js').Settings} page.settings
 * @param {import('./shown.js').Shown} page.shown
 * @param {import('./gallery.js').Gallery} page.gallery
 * @param {import('./actions.js').Actions} page.actions
 * @param {import('./making.js').Making} page.making
 * @param {import('./adding.js').Adding} page.adding
 * @param {import('./reader.js').Reader} page.reader
 * @param {import('./choice.js').Choice} page.choice
 * @param {import('./removal.js').Removal} page.removal
 * @param {import('./filling.js').Filling} page.filling
 * @param {import('./using.js').Using} page.using
 * @param {import('./begin.js').Begin} page.begin
 */
export function furnish({
  session, settings, shown, gallery, actions, making, adding, reader, choice, removal, filling, using, begin,
}) {
  new Large({
    current: () => shown.current,
    beside: (made, step) => gallery.beside(made, step),
    kin: (made) => gallery.kin(made),
    read: (entry) => gallery.open(entry),
    onLeft: (made) => gallery.onPick(made),
    onSave: (made) => actions.save(made),
    onShare: canShare() ? (made) => actions.share(made) : null,
  });
  const extras = new Extras({ engine: () => session.started(), pictures: gallery.pictures, settings, begin });
  Object.assign(making, { extras });
  const networks = new Networks({ engine: () => session.started(), settings });
  new Part({
    id: 'grid', what: 'What grids need', load: () => import('../grid/view.js'), address: new URL('../grid/view.js', import.meta.url),
    begin: ({ Grid }) => new Grid({ making, settings, begin, session, gallery, choice, using }),
  });
  new Recall({
    engine: () => session.started(), onSettings: (values) => filling.takePicture(values), onExtras: (found) => extras.take(found), onModel: (files) => adding.add(files),
    onBegin: (file, name) => begin.choose(file, name), begins: () => begin.mode !== 'words',
    onFolder: (files) => adding.addFolder(files),
  });
  const understood = new Understood({
    reader, onPress: (start, end, text) => settings.replaceInPrompt(start, end, text),
  });
  return {
    extras,
    batch: new Batch({ onChoose: (made) => shown.present(made) }),
    length: new Length({ session, settings }),
    networks,
    origin: new Origin({ pictures: gallery.pictures, gallery, begin, current: () => shown.current }),
    strength: new Strength({ session, settings, begin }),
    storage: new StoragePanel({ session, choice, removal, onRemoved: (id) => using.forgotten(id) }),
    waiting: new Waiting(making.queue),
    /** Another model is in use: its words count, and are listed. @param {import('../protocol.d.ts').ModelInfo} model */
    introduce(model) {
      understood.use(model);
      showWords(model, (word) => settings.addToPrompt(word));
    },
  };
}
