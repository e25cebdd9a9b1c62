/** A worker thread that calls `echo` at the port it is given, on ten connections at once. */
import { parentPort, workerData } from 'node:worker_threads';
import { connect } from 'nestjs-interconnect/core';

const answers = await Promise.all(
  Array.from({ length: 10 }, async (_, index) => {
    const connection = await connect({ host: '127.0.0.1', port: Number(workerData) });
    const session = connection.openSession('echo');
    const sends = Array.from({ length: 100 }, () => session.send(Buffer.from(`${index}`)));
    const outcomes = await Promise.all(sends);
    await connection.close();
    return outcomes.every(({ data }) => data.toString() === `${index}`);
  }),
);
parentPort?.postMessage(answers.every(Boolean));
