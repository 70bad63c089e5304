export class AsynchronousSession {
  constructor(_i: any, _f: string[]) {}
  async begin() {}
  end() {}
  checkpoint(): any {}
  progress(): any {
    return undefined
  }
  peers(_p: any) {}
  message(_f: string, _m: any) {}
  channelChanged(_p: string, _c: boolean) {}
}
