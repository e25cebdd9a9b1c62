/**
 * Finds the class and the method that handle a pattern. Nest tells a transport neither. But it keeps all controllers in one
 * container, and each method's patterns in the method's metadata.
 */
import type { Type } from '@nestjs/common';
import { MetadataScanner } from '@nestjs/core';
import type { ModulesContainer } from '@nestjs/core';

/** The names of the handlers of a pattern that satisfies `matches`: `ReplicaController.replicate`. */
export type HandlerNames = (matches: (pattern: unknown) => boolean) => string[];

/** Nest's own key, which stands in every compiled decorator and does not change. */
const PATTERN_METADATA = 'microservices:pattern';

export function handlerNamesOf(container: ModulesContainer): HandlerNames {
  const scanner = new MetadataScanner();
  return (matches) => {
    const names: string[] = [];
    for (const { controllers } of container.values()) {
      for (const { metatype } of controllers.values()) {
        if (typeof metatype !== 'function') continue;
        const prototype = (metatype as Type).prototype as Record<string, object>;
        for (const method of scanner.getAllMethodNames(prototype)) {
          const patterns: unknown = Reflect.getMetadata(PATTERN_METADATA, prototype[method] ?? {});
          if (Array.isArray(patterns) && patterns.some(matches)) {
            names.push(`${metatype.name}.${method}`);
          }
        }
      }
    }
    return names;
  };
}
