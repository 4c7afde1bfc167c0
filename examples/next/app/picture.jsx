'use client';

import { useEffect, useRef, useState } from 'react';
import { OpenGen } from 'opengen';
import { mini } from 'opengen/mini';

/** A picture from words. The engine lives as long as the component does. */
export function Picture({ prompt }) {
  const engine = useRef(null);
  const [words, setWords] = useState('Starting');
  const [image, setImage] = useState(null);
  const [busy, setBusy] = useState(true);
  const fail = (error) => { if (error.code !== 'ABORTED') setWords(`${error.code}: ${error.message}`); };

  useEffect(() => {
    const gone = new AbortController();
    OpenGen.create({ model: mini, signal: gone.signal }).then((og) => {
      if (gone.signal.aborted) return og.dispose();
      engine.current = og;
      setWords('Ready');
      return setBusy(false);
    }).catch(fail);
    return () => {
      gone.abort();
      engine.current?.dispose();
    };
  }, []);

  async function draw() {
    setBusy(true);
    try {
      const made = await engine.current.generate({
        prompt, imageType: 'Blob', onStep: ({ step, steps }) => setWords(`Step ${step} of ${steps}`),
      });
      setImage(URL.createObjectURL(made.image));
      setWords(`Seed ${made.seed}`);
    } catch (error) {
      fail(error);
    }
    setBusy(false);
  }

  return <>
    <p><button disabled={busy} onClick={draw}>Draw</button> <span role="status">{words}</span></p>
    {image && <img src={image} alt={prompt} width={256} height={256} />}
  </>;
}
