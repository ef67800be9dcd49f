#![allow(unsafe_code, warnings, unsafe_op_in_unsafe_fn, clippy::all)]
#[path="../src/ring/processor.rs"] mod processor;
use processor::fold;
use std::arch::x86_64::*;
use std::hint::black_box;
fn cpu() -> f64 { let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime); t.tv_sec as f64*1e9+t.tv_nsec as f64 }
#[inline(never)] #[target_feature(enable = "avx512f,avx512vl,vpclmulqdq,sse4.2")] unsafe fn f(c:u64,p:*const u8,k:usize,d:*mut u8)->u64{ fold(c, std::slice::from_raw_parts(p.cast(), k/64), d) }
fn main(){ unsafe{
 let n=100_000u32;
 let mut best=|name:&str, f:&mut dyn FnMut(usize)|{ let mut v=vec![]; for _ in 0..9 { let t=cpu(); for i in 0..n { f(i as usize); } v.push((cpu()-t)/n as f64);} v.sort_by(f64::total_cmp); println!("{name}: {:.1} min {:.1}", v[4], v[0]); };
 let mut ring=vec![0u64;(1<<20)/8+8192]; let d0=ring.as_mut_ptr().cast::<u8>(); let src0=vec![1u8;4096+128];
 let mask=0xffff; let mut at=0usize;
 let al=d0.align_offset(64); let als=src0.as_ptr().align_offset(64);
 for (dd,ss) in [(0,0),(48,0),(0,16),(48,16),(8,16)]{ let d=d0.add(al+dd); let src=src0.as_ptr().add(als+ss);
 println!("dst +{dd} src +{ss}");
 for k in [64usize,128,1024,4096]{
 best(&format!("fold {k} alone, same dst"),&mut|_|{black_box(f(1,black_box(src),black_box(k),d));});
 best(&format!("fold {k} chained"),&mut|_|{ static mut C:u64=0; C=f(C,black_box(src),black_box(k),d);});
 best(&format!("rdtsc fold {k} rdtsc"),&mut|_|{black_box(_rdtsc());black_box(f(1,black_box(src),black_box(k),d.add(at))); at=(at+k+64)&mask; black_box(_rdtsc());});
 best(&format!("rdtsc copy {k} rdtsc"),&mut|_|{black_box(_rdtsc());std::ptr::copy_nonoverlapping(black_box(src),d.add(at),black_box(k)); at=(at+k+64)&mask; black_box(_rdtsc());});
 }}
}}
