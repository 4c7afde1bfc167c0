import { Picture } from './picture.jsx';

export default function Page() {
  return <main><h1>OpenGen with Next.js</h1><Picture prompt="a panda on a pink background" /></main>;
}
