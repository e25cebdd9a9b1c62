/** The recipe of the section "Traces" of src/nest/README.md, copied without a change. */
import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Span } from '@opentelemetry/api';
import type {
  InterconnectClient,
  InterconnectContext,
  InterconnectServer,
} from '../../../src/nest/index.js';

export function traceCalls(client: InterconnectClient): void {
  client.setOnDispatchHook((packet) => {
    propagation.inject(context.active(), (packet.metadata ??= {}));
  });
}

export function traceHandlers(server: InterconnectServer): void {
  const tracer = trace.getTracer('interconnect');
  const spans = new WeakMap<object, Span>();
  server.setOnProcessingStartHook((_transport, ctx, handle) => {
    const request = ctx as InterconnectContext;
    const caller = propagation.extract(context.active(), request.getMetadata());
    const span = tracer.startSpan(request.getPattern(), { kind: SpanKind.SERVER }, caller);
    spans.set(request, span);
    void context.with(trace.setSpan(caller, span), handle);
  });
  server.setOnProcessingEndHook((_transport, ctx) => {
    const request = ctx as InterconnectContext;
    const { rejection } = request.getMessage();
    const span = spans.get(request);
    if (rejection) span?.setStatus({ code: SpanStatusCode.ERROR, message: rejection.reason });
    span?.end();
  });
}
