// The engine alone on a page, for the tests: they call it from outside.
import { LoadError, openModel, openTokenizer, SettingsError } from "../../../site/engine/model.js";

Object.assign(globalThis, { engine: { LoadError, openModel, openTokenizer, SettingsError } });
