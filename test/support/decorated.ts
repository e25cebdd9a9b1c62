/**
 * The program of `from-source.spec.ts`: it has decorators, their metadata, and an import of our own code by `.js`.
 */
import 'reflect-metadata';
import { Injectable } from '@nestjs/common';
import { isMainThread, parentPort } from 'node:worker_threads';
import { fromSource } from './from-source.js';

@Injectable()
class Part {}

@Injectable()
class Whole {
  constructor(readonly part: Part) {}
}

const injected: unknown = Reflect.getMetadata('design:paramtypes', Whole);
const report = {
  injects: Array.isArray(injected) && injected[0] === Part,
  args: fromSource.length,
};

if (isMainThread) process.send?.(report);
else parentPort?.postMessage(report);
