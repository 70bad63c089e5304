import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import type { Finding } from './finding.ts'

const MDNS_PORT = 5353
const MDNS_GROUP = '224.0.0.251'

/** Whether nodes can listen, and find one another on the local network. */
export async function checkPorts(): Promise<Finding[]> {
  return Promise.all([tcp(), mdns()])
}

async function tcp(): Promise<Finding> {
  const server = createServer()
  try {
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, resolve))
    return { check: 'port tcp', standing: 'ok', message: 'a node can listen on TCP; open its port in the firewall for peers from outside' }
  } catch (error) {
    const message = `no TCP port can be listened on: ${(error as Error).message}`
    return { check: 'port tcp', standing: 'broken', message, mend: 'allow this user to listen on TCP ports' }
  } finally {
    server.close()
  }
}

async function mdns(): Promise<Finding> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  try {
    await new Promise<void>((resolve, reject) => socket.once('error', reject).bind(MDNS_PORT, resolve))
    socket.addMembership(MDNS_GROUP)
    return { check: 'port mdns', standing: 'ok', message: 'nodes on the local network find one another by mDNS' }
  } catch (error) {
    const message = `no mDNS here: ${(error as Error).message}`
    return { check: 'port mdns', standing: 'lacks', message, mend: 'name a member: mesh join --peer /ip4/ADDRESS/tcp/PORT' }
  } finally {
    socket.close()
  }
}
